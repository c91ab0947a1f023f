"""Has a feed's broadcasts run, as soon as there is something to send."""

import asyncio

from barestream.feed import Feed
from barestream.slices import Slices


class FanOut:
    """Sends what is appended to a feed.

    Args:
        feed: Whose followers are sent to.
        slices: The time that this may take at once.
    """

    def __init__(self, feed: Feed, slices: Slices) -> None:
        self._feed = feed
        self._slices = slices
        self._stirred = asyncio.Event()
        feed.on_append = self._stirred.set

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            while self._feed.step():
                await self._slices.step()
            self._stirred.clear()
            await self._stirred.wait()

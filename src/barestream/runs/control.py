"""What other processes tell the process of a run: that it is to stop, or that it is followed."""

import asyncio
import json
import logging
from collections.abc import Callable

from barestream.runs.hub import Hub, HubAwayError, RefusedError
from barestream.runs.run import FOLLOWED_TYPE, STOP_TYPE
from barestream.runs.runner import FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS

logger = logging.getLogger(__name__)

_TYPES = {FOLLOWED_TYPE, STOP_TYPE}


class Control:
    """Follows the control topic of a process.

    Args:
        hub: The hub.
        topic: The topic.
        heard: Called with the type and the run's id of each event.

    Attributes:
        connected_since: Since when it is followed, in the loop's seconds; None while it is not.
    """

    def __init__(self, hub: Hub, topic: str, heard: Callable[[str, str], None]) -> None:
        self.connected_since: float | None = None
        self._hub = hub
        self._topic = topic
        self._heard = heard
        self._cursor: str | None = None

    async def run(self) -> None:
        """Follow it until cancelled.

        Who asks for a stop asks again until the run has ended, so a request that came while this
        was not connected is not lost.
        """
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._hub.follow(self._topic, self._cursor) as events:
                    if events is not None:
                        self.connected_since = asyncio.get_running_loop().time()
                        async for event in events:
                            pause_seconds = FIRST_PAUSE_SECONDS
                            self._cursor = event.id or self._cursor
                            if event.type in _TYPES and event.data is not None:
                                self._heard(event.type, json.loads(event.data)["id"])
            except HubAwayError as error:
                logger.info("requests to stop runs wait for the hub", extra={"why": str(error)})
            except RefusedError:
                # The subscriber's token may be replaced by a valid one.
                logger.exception("no run of this process can be stopped from another one")
            self.connected_since = None
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LAST_PAUSE_SECONDS)

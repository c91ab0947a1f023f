"""Follow a stream by aiohttp-sse-client.

After a clean end it comes back by itself; a connection that breaks it leaves to its user, and
with it the delay, which it does not tell.
"""

import asyncio
import sys

import aiohttp
from aiohttp_sse_client.client import EventSource

from reporting import tell_event, tell_open


async def main(url: str) -> None:
    """Report all events, and come back after each broken connection."""
    last_event_id = ""
    async with aiohttp.ClientSession() as session:
        while True:
            headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
            try:
                async with EventSource(
                    url, session=session, on_open=tell_open, headers=headers
                ) as source:
                    async for event in source:
                        last_event_id = event.last_event_id
                        tell_event(event.type or "message", event.data, event.last_event_id)
            except aiohttp.ClientPayloadError:
                pass


asyncio.run(main(sys.argv[1]))

"""Updates that tests publish while clients follow."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from support.clients.publisher import Publisher
from support.servers.service import Service
from updates import Received, Update, as_received


def publish(service: Service, topic: str, wanted: Iterable[Update]) -> list[Received]:
    """Publish updates; return them as the standard has a client receive them."""

    async def publish_all() -> list[Received]:
        async with Publisher(service.url) as publisher:
            return [
                as_received(update, await publisher.publish(topic, **update.fields))
                for update in wanted
            ]

    # In this thread Playwright has a loop already.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, publish_all()).result()

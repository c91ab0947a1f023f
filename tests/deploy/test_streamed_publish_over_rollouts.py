"""Streamed publishes that are open on a VM while the version that serves is replaced."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlencode

from operating import Operator
from support.clients.publisher import PATH
from support.clients.sse_client import ReconnectingClient
from support.clients.streamed_publisher import Persistent
from support.servers.served import until
from support.servers.service import PATIENCE_SECONDS

# So many that each worker has some.
PUBLISHERS = 6

PAUSE_SECONDS = 0.05

# The shortest that the hub takes: a rollout takes several times as long.
LEASE_SECONDS = 5


class Pair:
    """A publisher, and a subscriber that resumes, of one topic.

    Args:
        address: Where the VM's nginx listens.
        topic: The topic.
    """

    def __init__(self, address: tuple[str, int], topic: str) -> None:
        self.publisher = Persistent(address, topic, "p", PAUSE_SECONDS, LEASE_SECONDS)
        # What a publisher sends before its subscriber is there is replayed. From the earliest event
        # on would not do: where tests before this one have filled the history, that tells a gap.
        query = urlencode({"topic": topic, "rewind": 100})
        self.subscriber = ReconnectingClient(address, f"{PATH}?{query}")

    @property
    def received(self) -> list[str]:
        """What the subscriber has got: the data of each update, and the type of anything else."""
        return [
            event.data if event.type == "message" else event.type
            for event in self.subscriber.events
        ]


async def get_more(pairs: list[Pair]) -> None:
    """Wait until each subscriber has got updates that its publisher has not sent yet."""
    wanted = [pair.publisher.next + 10 for pair in pairs]
    await until(
        lambda: all(len(pair.received) >= count for pair, count in zip(pairs, wanted, strict=True))
    )


def test_a_streamed_publish_goes_on_over_a_rollout_and_a_rollback_with_every_number_once(
    operator: Operator, figure: Callable[[str], None]
) -> None:
    before = operator.serving()
    version = operator.checkout.version("src/barestream/__main__.py", '"""', '"""Streamed: ')
    pairs = [Pair(operator.vm.address, f"builds/{number}") for number in range(PUBLISHERS)]

    async def act() -> list[int]:
        async with asyncio.TaskGroup() as group:
            following = [group.create_task(pair.subscriber.run(None)) for pair in pairs]
            publishing = [group.create_task(pair.publisher.publish()) for pair in pairs]
            await get_more(pairs)
            await asyncio.to_thread(operator.must, "rollout", version)
            await get_more(pairs)
            await asyncio.to_thread(operator.must, "rollback", before)
            await get_more(pairs)
            counts = [pair.publisher.finish() for pair in pairs]
            async with asyncio.timeout(PATIENCE_SECONDS):
                answers = await asyncio.gather(*publishing)
            assert [answer.body["next"] for answer in answers] == counts
            await until(
                lambda: all(
                    len(pair.received) >= count for pair, count in zip(pairs, counts, strict=True)
                )
            )
            for task in following:
                task.cancel()
        return counts

    counts = asyncio.run(act())
    figure(f"{sum(counts)} updates of {PUBLISHERS} publishers")
    assert operator.serving() == before
    for pair, count in zip(pairs, counts, strict=True):
        assert pair.received == [str(number) for number in range(count)]
        # Each instance that drains ends the request once, and says where to go on.
        assert pair.publisher.statuses == [503, 503]
        assert pair.publisher.requests == 3
        assert pair.subscriber.connects >= 3

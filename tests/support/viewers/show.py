"""What viewers are brought: streams that stay, and publishers that try nothing twice."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx

from support.clients.event_source import EventSource
from support.clients.publisher import PATH, Publisher
from support.judges.ledger import Ledger, Post, due_slots
from support.judges.verdict import Account, Verdict, judge

# Each posts one event after the other: so many that an answer of 200 ms holds up nobody at 50
# events a second.
PUBLISHERS = 10

# The arrival is not what is tested: it leaves the service time for its streams.
OPENED_PER_SECOND = 250

# Who has no event by then is not coming: nginx tells clients of an app that is away to return
# within 4 s.
MOST_SECONDS = 20

# What comes twice follows at once.
LINGER_SECONDS = 1

LAG_SECONDS = 0.1

PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Plan:
    """How many viewers there are, and what they are brought.

    Attributes:
        url: The service's, http and without a path.
        streams: How many are held; BARESTREAM_STREAMS_PER_ADDRESS must allow them.
        events_per_second: Published over all topics in turn.
        topics: What is published to; everybody follows all of them.
        bearer: The publishers' token; one under the tests' key where there is none.
    """

    url: str
    streams: int
    events_per_second: float
    topics: Sequence[str]
    bearer: str | None


class Viewer(EventSource):
    """An EventSource that also notes under which id an event stands in the log."""

    def __init__(
        self, address: tuple[str, int], target: str, cursor: str, ids: dict[int, str]
    ) -> None:
        super().__init__(address, target, cursor)
        self._ids = ids

    def _take(self, data: str) -> None:
        super()._take(data)
        self._ids[self.numbers[-1]] = self.cursor


class Show:
    """One run: everybody arrives, is brought events until it is over, and gives account.

    Attributes:
        ledger: Every event, and why some were refused.
        viewers: Who was there.
        live_at: From when on everybody was, of time.monotonic.
        silences_seconds: Each viewer's longest time without an event since then.
        lag_seconds: The longest that this process was held up.
    """

    def __init__(self, plan: Plan) -> None:
        self.ledger = Ledger()
        self.viewers: list[Viewer] = []
        self.live_at = 0.0
        self.silences_seconds: list[float] = []
        self.lag_seconds = 0.0
        self._plan = plan
        self._ids: dict[int, str] = {}
        self._everything = tuple(range(len(plan.topics)))
        self._is_over = False

    async def run(self, tell_live: Callable[[], None], over: Callable[[], None]) -> None:
        """Go on until it is over.

        Args:
            tell_live: Called when everybody is there.
            over: Returns, in a thread of its own, when it is to end.
        """
        async with (
            Publisher(self._plan.url, self._plan.bearer) as publisher,
            asyncio.TaskGroup() as group,
        ):
            first = await self._must_post(publisher)
            began_at = time.monotonic()
            publishing = [
                group.create_task(self._publish(publisher, nth, began_at))
                for nth in range(PUBLISHERS)
            ]
            following = [group.create_task(self._watch_lag())]
            for _ in range(self._plan.streams):
                self.viewers.append(self._viewer(first))
                following.append(group.create_task(self.viewers[-1].run()))
                await asyncio.sleep(1 / OPENED_PER_SECOND)
            await self._until_all_are_live()
            tell_live()
            await asyncio.to_thread(over)
            self._is_over = True
            await asyncio.wait(publishing)
            last = await self._must_post(publisher)
            await self._until(lambda viewer: viewer.numbers[-1] == last.number)
            self.silences_seconds = [each.longest_silence_seconds() for each in self.viewers]
            await asyncio.sleep(LINGER_SECONDS)
            for task in following:
                task.cancel()

    def verdict(self) -> Verdict:
        """Judge what everybody was brought, by the order of the log."""
        topics = frozenset(self._everything)
        log = Account("the log", topics, sorted(self._ids, key=lambda nth: place(self._ids[nth])))
        accounts = (
            Account(f"viewer {nth}", topics, viewer.numbers)
            for nth, viewer in enumerate(self.viewers)
        )
        return judge(self.ledger.posts, log, accounts)

    def _viewer(self, first: Post) -> Viewer:
        where = httpx.URL(self._plan.url)
        # The page that they are on was made just after the first event.
        cursor = self._ids[first.number]
        query = [*(("topic", topic) for topic in self._plan.topics), ("lastEventID", cursor)]
        address = (where.host, where.port or 80)
        viewer = Viewer(address, f"{PATH}?{urlencode(query)}", cursor, self._ids)
        viewer.numbers.append(first.number)
        return viewer

    async def _publish(self, publisher: Publisher, nth: int, began_at: float) -> None:
        rate = self._plan.events_per_second
        async for slot in due_slots(nth, PUBLISHERS, rate, began_at):
            if self._is_over:
                break
            await self._post(
                publisher, self.ledger.new((slot % len(self._plan.topics),), nth, own_id=False)
            )

    async def _must_post(self, publisher: Publisher) -> Post:
        """Post an event of every topic that must be taken, and return it."""
        deadline = time.monotonic() + MOST_SECONDS
        while time.monotonic() < deadline:
            post = self.ledger.new(self._everything, PUBLISHERS, own_id=False)
            await self._post(publisher, post)
            if post.accepted:
                return post
            await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError(f"no event was taken in {MOST_SECONDS} s: {self.ledger.refused[-1]}")

    async def _post(self, publisher: Publisher, post: Post) -> None:
        topics = [self._plan.topics[nth] for nth in post.topics]
        try:
            answer = await publisher.post(*topics, data=post.data)
        except httpx.TransportError as error:
            self.ledger.refused.append(repr(error))
            return
        if answer.status_code == 200:
            post.accepted_at = time.monotonic()
            self._ids[post.number] = answer.text
        else:
            self.ledger.refused.append(f"{answer.status_code} {answer.text}")

    async def _until_all_are_live(self) -> None:
        self.live_at = time.monotonic()
        missing = await self._until(lambda viewer: viewer.newest_at > self.live_at)
        answers = sorted({answer for viewer in missing for answer in viewer.closed})
        assert not missing, f"{len(missing)} streams without an event; refused: {answers}"
        for viewer in self.viewers:
            # What it waited for at its arrival does not count.
            viewer.longest_silence_seconds()

    async def _until(self, condition: Callable[[Viewer], bool]) -> list[Viewer]:
        """Wait until a condition holds for everybody, and return for whom it does not in time."""
        missing = self.viewers
        deadline = time.monotonic() + MOST_SECONDS
        while missing and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            missing = [viewer for viewer in missing if not condition(viewer)]
        return missing

    async def _watch_lag(self) -> None:
        while True:
            due_at = time.monotonic() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            self.lag_seconds = max(self.lag_seconds, time.monotonic() - due_at)


def place(event_id: str) -> tuple[int, ...]:
    """Return an event's place in the log; its id is the hub's own."""
    return tuple(int(part) for part in event_id.removeprefix("#").split("-"))

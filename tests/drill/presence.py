"""The drill of presence: users in a room, faults one by one, and watchers of who is there."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import httpx

from compose import Stack
from drill.findings import Findings, markdown
from drill.presence_faults import FAULTS
from drill.tab import Tab, token_of
from drill.watcher import Hub, MemberWatcher, Seat, SubscriptionWatcher, ids_of
from support.clients.publisher import Publisher

ROOM = "https://drill.example/rooms/lobby"
TABS_ROOM = "https://drill.example/rooms/tabs"
BOARDS = [f"https://drill.example/boards/{nth}" for nth in range(21)]

ARRIVAL_SECONDS = 5

# The default of BARESTREAM_PRESENCE_GRACE_SECONDS, and a worker's lease. Whoever is told as gone by
# a fault is told within both.
GRACE_SECONDS = 10
LEASE_SECONDS = 15
QUIET_SECONDS = GRACE_SECONDS + LEASE_SECONDS + 3

# What has not come by then does not come.
MOST_SECONDS = 120

POLL_SECONDS = 0.25

# A page that opens a stream anew for other topics takes so long.
CHANGE_SECONDS = 0.2
CHANGES_SECONDS = 20


@dataclass
class Course:
    """What was seen from one fault to the next.

    Attributes:
        fault: As the table calls it.
        live_seconds: From its strike until each user had an event that was published after it.
        true_seconds: From its strike until the list had each user with one subscription for good.
        left_though_there: How many were told as left, and were there.
        blinks: How many had no subscription for a while by the events of the subscription API.
        members: How many the list has at the end.
        is_equal: Whether the lists and what the watchers keep are equal at the end.
    """

    fault: str
    live_seconds: float = 0
    true_seconds: float = 0
    left_though_there: int = 0
    blinks: int = 0
    members: int = 0
    is_equal: bool = False


class PresenceDrill:
    """Runs it on a stack that serves.

    Args:
        stack: The containers.
        users: How many users there are.
        seed: Of the random choices.
        say: Told how it goes.
    """

    def __init__(self, stack: Stack, users: int, seed: int, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._users = users
        self._rng = random.Random(f"{seed}/presence")
        self._say = say
        self._there: set[Seat] = set()
        self._found = Findings()
        self._courses: list[Course] = []

    async def run(self) -> Findings:
        """Run the faults, and then what no fault is in."""
        async with Hub(self._stack.url) as self._hub, Publisher(self._stack.url) as self._publisher:
            listed = await self._hub.subscriptions()
            assert listed is not None
            assert not ids_of(listed, [ROOM])
            cursor, address = listed["lastEventID"], self._stack.address
            self._members = MemberWatcher(address, cursor, self._there)
            self._subscriptions = SubscriptionWatcher(address, cursor, self._there)
            watchers = (self._members, self._subscriptions)
            for watcher in watchers:
                watcher.open()
            tabs = await self._arrive()
            for fault in FAULTS:
                await self._course(fault.name, fault.strike, tabs)
            await self._leave_for_good(tabs)
            await self._close_tabs_of_one_user()
            await self._change_a_topic()
            self._found.expect("gaps of the watchers", sum(len(e.gaps) for e in watchers), 0)
            self._found.expect("watchers refused", sum(len(e.closed) for e in watchers), 0)
            for watcher in watchers:
                await watcher.close()
        self._found.table = _table(self._courses)
        return self._found

    def _tab(self, name: str, topics: Sequence[str]) -> Tab:
        is_polite = self._rng.random() < 0.5
        return Tab(self._stack.address, name, topics, token_of(name), leaves_politely=is_polite)

    async def _open(self, tabs: Iterable[Tab], seconds: float) -> None:
        tabs = list(tabs)
        for tab in tabs:
            self._there.update((topic, tab.name) for topic in tab.topics)
            tab.open()
            await asyncio.sleep(seconds / len(tabs))

    async def _arrive(self) -> list[Tab]:
        tabs = [self._tab(f"user {nth}", [ROOM]) for nth in range(self._users)]
        began_at = time.monotonic()
        await self._open(tabs, ARRIVAL_SECONDS)
        await self._await_list(ROOM, self._users, self._users)
        self._say(f"{self._users} users have arrived in {time.monotonic() - began_at:.1f} s")
        # From here on each has an id to come back with.
        await self._await_heard("the beginning", tabs)
        return tabs

    async def _course(
        self, name: str, strike: Callable[[Stack], None], tabs: Sequence[Tab]
    ) -> None:
        self._say(name)
        course = Course(name)
        lefts, blinks = len(self._members.left_though_there), len(self._subscriptions.blinks)
        began_at = time.monotonic()
        await asyncio.to_thread(strike, self._stack)
        await self._await_heard(name, tabs)
        course.live_seconds = time.monotonic() - began_at
        true_at: float | None = None
        quiet_until = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < quiet_until or true_at is None:
            counts = await self._counts(ROOM)
            true_at = (true_at or time.monotonic()) if counts == (len(tabs), len(tabs)) else None
            if time.monotonic() > quiet_until + MOST_SECONDS:
                self._found.faults.append(f"{name}: the list has {counts}")
                break
            await asyncio.sleep(POLL_SECONDS)
        course.true_seconds = (true_at or time.monotonic()) - began_at
        course.left_though_there = len(self._members.left_though_there) - lefts
        course.blinks = len(self._subscriptions.blinks) - blinks
        course.members, course.is_equal = await self._compare(ROOM, {tab.name for tab in tabs})
        self._courses.append(course)
        self._say(str(course))
        if course.left_though_there or course.blinks or not course.is_equal:
            self._found.faults.append(f"{name}: {course}")

    async def _leave_for_good(self, tabs: Sequence[Tab]) -> None:
        leaving, staying = tabs[: self._users // 10], tabs[self._users // 10 :]
        self._members.left.clear()
        began_at = time.monotonic()
        self._there.difference_update((ROOM, tab.name) for tab in leaving)
        await asyncio.gather(*(tab.close() for tab in leaving))
        names = {tab.name for tab in staying}
        course = Course(f"{len(leaving)} left for good")
        wrongly, blinks = len(self._members.left_though_there), len(self._subscriptions.blinks)
        await self._await(lambda: len(self._members.left) >= len(leaving))
        course.live_seconds = course.true_seconds = time.monotonic() - began_at
        await asyncio.sleep(GRACE_SECONDS)
        course.left_though_there = len(self._members.left_though_there) - wrongly
        course.blinks = len(self._subscriptions.blinks) - blinks
        course.members, course.is_equal = await self._compare(ROOM, names)
        self._courses.append(course)
        told = sorted(name for _, name in self._members.left)
        is_exact = told == sorted(tab.name for tab in leaving)
        self._found.expect("exactly those who left were told as left, each once", is_exact, True)
        self._found.expect("users told as left", len(told), len(leaving))
        self._found.expect("closed for good by an answer", sum(len(t.closed) for t in tabs), 0)
        self._there.difference_update((ROOM, tab.name) for tab in staying)
        await asyncio.gather(*(tab.close() for tab in staying))
        await self._await(lambda: not self._members.members(ROOM))

    async def _close_tabs_of_one_user(self) -> None:
        tabs = [self._tab("one user", [TABS_ROOM]) for _ in range(3)]
        await self._open(tabs, 1)
        await self._await_list(TABS_ROOM, 1, 3)
        lefts, told = [], self._subscriptions.told
        for nth, tab in enumerate(tabs, 1):
            if nth == len(tabs):
                self._there.discard((TABS_ROOM, "one user"))
            await tab.close()
            while told["ended", TABS_ROOM] < nth:
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.sleep(1)
            lefts.append(self._members.told["left", TABS_ROOM])
        self._found.expect(
            "three tabs of one user closed one by one: left so far", lefts, [0, 0, 1]
        )
        self._found.expect("… joined", self._members.told["joined", TABS_ROOM], 1)

    async def _change_a_topic(self) -> None:
        before, after = BOARDS[:20], BOARDS[1:]
        self._say(f"{self._users} streams of {len(before)} topics")
        began_at = time.monotonic()
        tabs = [self._tab(f"user {nth}", before) for nth in range(self._users)]
        await self._open(tabs, CHANGES_SECONDS)
        for board in before:
            await self._await_list(board, self._users, self._users)
        told = self._members.told, self._subscriptions.told
        await self._await(lambda: told[1]["began", before[-1]] >= self._users)
        await self._await(lambda: told[0]["joined", before[-1]] >= self._users)
        self._say(f"they are there after {time.monotonic() - began_at:.1f} s; each changes one")
        for counter in told:
            counter.clear()
        blinks = len(self._subscriptions.blinks)
        lefts = len(self._members.left_though_there)
        began_at = time.monotonic()
        changed = await asyncio.gather(*(self._change(tab, after) for tab in tabs))
        await self._await(lambda: told[0]["left", BOARDS[0]] >= self._users)
        for board in after:
            await self._await_list(board, self._users, self._users)
        seconds = time.monotonic() - began_at
        await asyncio.sleep(GRACE_SECONDS)
        expect = self._found.expect
        expect(
            "one of 20 topics changed: joined of the topic that came",
            told[0]["joined", BOARDS[-1]],
            self._users,
        )
        expect("… left of the topic that went", told[0]["left", BOARDS[0]], self._users)
        expect("… all events of presence", told[0].total(), 2 * self._users)
        began, ended = (
            {board: told[1][kind, board] for board in BOARDS} for kind in ("began", "ended")
        )
        expect("… subscriptions to the topic that came: begun", began.pop(BOARDS[-1]), self._users)
        expect("… subscriptions to the topic that went: ended", ended.pop(BOARDS[0]), self._users)
        del began[BOARDS[0]], ended[BOARDS[-1]]
        # Where the worker of the stream before is the later one to tell, the subscription anew is
        # told before the end of the one before.
        expect("… subscriptions to the other 19: begun as often as ended", began == ended, True)
        self._found.counts.append(("… of these, begun before the end of one", sum(began.values())))
        expect("… told as left though there", len(self._members.left_though_there) - lefts, 0)
        expect("… blinks", len(self._subscriptions.blinks) - blinks, 0)
        equal = [await self._compare(board, {tab.name for tab in tabs}) for board in after]
        expect("… lists equal", all(is_equal for _, is_equal in equal), True)
        self._found.counts.append(("… seconds until all was told", round(seconds, 1)))
        self._there.clear()
        await asyncio.gather(*(tab.close() for tab in changed))

    async def _change(self, tab: Tab, topics: Sequence[str]) -> Tab:
        await asyncio.sleep(self._rng.uniform(0, CHANGES_SECONDS))
        gone = set(tab.topics) - set(topics)
        self._there.difference_update((topic, tab.name) for topic in gone)
        await tab.close()
        await asyncio.sleep(CHANGE_SECONDS)
        opened = self._tab(tab.name, topics)
        await self._open([opened], 0)
        return opened

    async def _counts(self, topic: str) -> tuple[int, int] | None:
        listed = await self._hub.presence(topic, include="counts")
        return listed and (listed["member_count"], listed["subscription_count"])

    async def _await_list(self, topic: str, members: int, subscriptions: int) -> None:
        counts = None
        deadline = time.monotonic() + MOST_SECONDS
        while counts != (members, subscriptions):
            if time.monotonic() > deadline:
                self._found.faults.append(f"the list of {topic} has {counts}")
                return
            counts = await self._counts(topic)
            await asyncio.sleep(POLL_SECONDS / 5)

    async def _await_heard(self, what: str, tabs: Sequence[Tab]) -> None:
        """Publish an update, and wait until each tab has it."""
        while not await self._is_published(what):
            await asyncio.sleep(POLL_SECONDS)
        await self._await(lambda: all(what in tab.heard for tab in tabs))

    async def _is_published(self, what: str) -> bool:
        try:
            return (await self._publisher.post(ROOM, data=what)).status_code == 200
        except httpx.TransportError:
            return False

    async def _await(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + MOST_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                self._found.faults.append("something that was waited for did not come")
                return
            await asyncio.sleep(0.05)

    async def _compare(self, topic: str, names: set[str]) -> tuple[int, bool]:
        """Return how many members the list has, and whether lists, watchers and users are equal."""
        listed = await self._hub.presence(topic)
        of_topic = await self._hub.subscriptions_of(topic)
        assert listed is not None
        assert of_topic is not None
        members = [member["id"] for member in listed["members"]]
        is_equal = (
            len(members) == len(names)
            and set(members) == names == self._members.members(topic)
            and ids_of(of_topic, [topic]) == self._subscriptions.ids(topic)
        )
        return len(members), is_equal


def _table(courses: Sequence[Course]) -> str:
    heads = (
        *("Course", "told as left though there", "blinks", "members in the list"),
        *("lists equal to events", "all live after", "list settled after"),
    )
    rows = [
        (
            *(each.fault, each.left_though_there, each.blinks, each.members),
            "yes" if each.is_equal else "NO",
            *(f"{each.live_seconds:.1f} s", f"{each.true_seconds:.1f} s"),
        )
        for each in courses
    ]
    return markdown(heads, rows)

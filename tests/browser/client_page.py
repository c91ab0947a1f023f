"""The page of the folder client_page in a tab of any browser, and what the client told it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from number_publisher import NOTHING_WRONG, NumberPublisher, judge
from support.servers.service import PATIENCE_SECONDS, wait_for
from tab import PlainTab

T = TypeVar("T", bound=PlainTab)

# In these, events must not come; nor may a page that says live be without them for long.
_AWAY = ("offline", "denied", "idle", "ended")

# From an outage until the page says so, and from the first event after it until the page says live.
# Outages last 8 s. A loaded machine holds browsers up for some seconds.
_TOLERANCE_MS = 5_000


class Told(NamedTuple):
    """An event; the time in milliseconds since 1970."""

    subscription: int
    number: int
    place: str
    topic: str | None
    at: float
    replay: bool
    user: str | None


class State(NamedTuple):
    """A state that was shown, and since when, in milliseconds since 1970."""

    state: str
    reason: str | None
    retry_at: float | None
    status: int | None
    via: str
    at: float


@dataclass(frozen=True)
class Record:
    """All that the page was told since it was first loaded; the lists are as in page.js."""

    events: list[Told]
    states: list[State]
    gaps: list[list[Any]]
    snapshots: list[list[Any]]
    ends: list[list[Any]]
    batches: list[int]
    shows: list[list[Any]]
    hides: list[float]
    fetches: list[list[float]]
    complaints: list[str]
    longest: float

    @property
    def now(self) -> State:
        """The last state."""
        return self.states[-1]

    def numbers(self, subscription: int = 0) -> list[int]:
        """Return the numbers that one subscription was told."""
        return [each.number for each in self.events if each.subscription == subscription]

    def silence_ms(self, since: float = 0, until: float = float("inf")) -> float:
        """Return the longest time between two events, of those that came in this time."""
        times = [each.at for each in self.events if since <= each.at <= until]
        return max((after - before for before, after in pairwise(times)), default=float("inf"))

    def untrue_states(self) -> list[str]:
        """Return a sentence for each time at which the state that was shown was not true.

        It holds while events are published all the time. A page that was put away shows nothing.
        """
        found = []
        ends = [*(each.at for each in self.states[1:]), float("inf")]
        spans = [
            (state, min([end, *(at for at in self.hides if at > state.at)]))
            for state, end in zip(self.states, ends, strict=True)
        ]
        for before, after in pairwise(each.at for each in self.events):
            for state, until in spans:
                silent_ms = min(after, until) - max(before, state.at)
                if state.state == "live" and silent_ms > _TOLERANCE_MS:
                    found.append(f"live, and for {silent_ms:.0f} ms without an event at {before}")
        for state, until in spans:
            came = [each for each in self.events if state.at + _TOLERANCE_MS < each.at < until]
            if state.state != "live" and len(came) > 1 and not came[-1].replay:
                found.append(f"{state.state}, and {len(came)} events came: {came[0].at}")
            at_once = [each for each in self.events if state.at + 100 < each.at < until]
            if state.state in _AWAY and at_once:
                found.append(f"{state.state}, and events came")
        return found


@dataclass
class Setup:
    """How the page subscribes: the query's `setup` of page.js."""

    auth: str = "none"
    options: dict[str, Any] = field(default_factory=dict)
    subscriptions: Sequence[dict[str, Any]] = ({"topics": "/numbers"},)
    resumes: bool = False
    batches: bool = False
    watchesTasks: bool = False  # noqa: N815 (as page.js has it)

    @property
    def query(self) -> str:
        """The query of the page's address."""
        return urlencode({"setup": json.dumps(self.__dict__)})


class ClientPage(Generic[T]):
    """The page in one tab.

    Args:
        tab: The tab; the page is opened in it.
        origin: Where the site is.
        setup: How it subscribes.
    """

    def __init__(self, tab: T, origin: str, setup: Setup | None = None) -> None:
        self.tab = tab
        self.origin = origin
        self.owed = 0
        tab.open(f"{origin}/site/page.html?{(setup or Setup()).query}")

    def record(self) -> Record:
        """Return what it was told until now."""
        parts = self.tab.evaluate("globalThis.record ?? null")
        assert parts is not None, "the page's script does not run"
        details = [(detail, at) for detail, at in parts.pop("states")]
        states = [
            State(each["state"], each["reason"], each["retryAt"], each["status"], each["via"], at)
            for each, at in details
        ]
        return Record(events=[Told(*each) for each in parts.pop("events")], states=states, **parts)

    def wait_for(
        self, what: str, condition: Callable[[Record], Any], seconds: float = PATIENCE_SECONDS
    ) -> Record:
        """Wait until the condition is true of its record, and return that."""
        seen: Record | None = None

        def is_true() -> Any:
            nonlocal seen
            if not self.tab.evaluate("Boolean(globalThis.record)"):
                return False
            seen = self.record()
            return seen.states and condition(seen)

        try:
            wait_for(what, is_true, seconds)
        except AssertionError as error:
            error.add_note(self.account(seen))
            raise
        assert seen is not None
        return seen

    def account(self, seen: Record | None = None) -> str:
        """Return what there is to know where something went wrong."""
        seen = seen or self.record()
        states = "\n".join(map(str, seen.states[-12:]))
        last = seen.events[-1:] or "no events"
        return f"{states}\n{last}\ngaps {seen.gaps}\n{seen.complaints}"

    def wait_for_state(self, state: str, seconds: float = PATIENCE_SECONDS) -> Record:
        """Wait until it shows a state."""
        return self.wait_for(state, lambda seen: seen.now.state == state, seconds)

    def wait_for_events(self, count: int = 1, subscription: int = 0) -> Record:
        """Wait until it was told so many more events."""
        wanted = len(self.record().numbers(subscription)) + count
        return self.wait_for(
            f"{count} events", lambda seen: len(seen.numbers(subscription)) >= wanted
        )

    def wait_for_count(self, count: int) -> None:
        """Wait until it was told so many events, without a look at each."""
        told = "globalThis.record?.events.length ?? 0"
        wait_for(f"{count} events", lambda: self.tab.evaluate(told) >= count)

    def wait_until_owed(self, publisher: NumberPublisher) -> None:
        """Wait until it is live and is told events; all numbers from the next one on are owed."""
        self.wait_for("events live", lambda seen: seen.now.state == "live" and seen.events)
        self.owed = publisher.count + 1

    def wait_for_number(self, number: int) -> Record:
        """Wait until it was told a number, or a later one."""
        return self.wait_for(
            f"number {number}", lambda seen: any(each >= number for each in seen.numbers()[-1:])
        )

    def assert_whole(self, last: int) -> Record:
        """Wait for the last number; nothing is lost, twice or out of order."""
        seen = self.wait_for_number(last)
        verdict = judge(seen.numbers(), self.owed, last)
        assert verdict == NOTHING_WRONG, (verdict, self.account(seen))
        assert seen.gaps == []
        assert seen.complaints == []
        return seen

    def ask_own(self) -> float:
        """Have the page make a request of its own; return how many milliseconds it took."""
        count = len(self.record().fetches)
        self.tab.evaluate("ask('own')")
        seen = self.wait_for("the page's own request", lambda seen: len(seen.fetches) > count)
        ms, status = seen.fetches[-1]
        assert status == 200
        return ms

    @property
    def has_stream(self) -> bool:
        """Whether this tab has asked for a stream and has not let go of it."""
        return bool(self.tab.evaluate("globalThis.openStreams > 0"))

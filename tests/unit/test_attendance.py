"""What a worker tells the registry of its streams, with a registry that can be away."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, cast

import pytest

from barestream.delivery.attendance import (
    MOST_BATCH,
    RENEW_SECONDS,
    Attendance,
    AttendanceRules,
)
from barestream.delivery.attendee import MOST_CHARACTERS, Attendee
from barestream.delivery.time_slices import Slices
from barestream.history.broker import BrokerAwayError
from barestream.history.subscriptions import Away, Changed, Registry, Subscription
from barestream.mercure.identity import Identity, Payload
from barestream.mercure.matchers import Matcher
from barestream.mercure.selectors import Selectors
from barestream.mercure.version import Version
from barestream.telemetry.metrics import Metrics

GRACE_MS = 10_000


class Calls:
    """A registry that notes what it is told.

    Attributes:
        told: Each change: which streams began, and which went away.
        is_away: Whether it fails; with ``is_lost`` it fails after it has done what it was told.
        is_known: Whether the worker's lease is known.
    """

    def __init__(self) -> None:
        self.told: list[tuple[list[str], list[str]]] = []
        self.sizes: list[int] = []
        self.renewals = 0
        self.is_away = False
        self.is_known = True
        self.refused = 0
        self.meanwhile = lambda: None

    async def change(
        self,
        worker: str,
        began: Sequence[Subscription] = (),
        away: Sequence[Away] = (),
        left: Sequence[str] = (),
    ) -> Changed:
        assert worker == "w"
        assert not left
        assert all(each.grace_ms == GRACE_MS for each in away)
        gone = [each.id.rpartition("%3A")[2] for each in away]
        self.sizes.append(len(began))
        self.told.append((streams(each.subscriber for each in began), streams(gone)))
        self.meanwhile()
        if self.is_away:
            raise BrokerAwayError("away", cause="unreachable")
        is_known, self.is_known = self.is_known, True
        return Changed(is_known, self.refused)

    async def renew(self, worker: str) -> bool:
        assert worker == "w"
        if self.is_away:
            raise BrokerAwayError("away", cause="unreachable")
        self.renewals += 1
        is_known, self.is_known = self.is_known, True
        return is_known


def streams(subscribers: Any) -> list[str]:
    return list(dict.fromkeys(each.rpartition(":")[2] for each in subscribers))


def stream(name: str, *topics: str, payload: str = "") -> Attendee:
    payloads = (Payload(Selectors(["*"]), payload),) if payload else ()
    selectors = tuple(map(Matcher, topics or ("a",)))
    return Attendee(f"urn:uuid:{name}", selectors, Identity("", "alice", payloads), "", 5)


class World:
    """A worker whose clock goes on with each sleep."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.calls = Calls()
        self.metrics = Metrics()
        self.attendance = Attendance(
            cast("Registry", self.calls),
            AttendanceRules("w", GRACE_MS, tuple(Version)),
            self.metrics,
            Slices(lambda: self.seconds),
            lambda: self.seconds,
        )

    def turn(self, turns: int = 1) -> list[tuple[list[str], list[str]]]:
        """Run for so many turns; return what the registry was told meanwhile."""
        told = len(self.calls.told)

        async def sleep(seconds: float) -> None:
            nonlocal turns
            if not turns:
                raise asyncio.CancelledError
            turns -= 1
            self.seconds += seconds

        async def run() -> None:
            with pytest.raises(asyncio.CancelledError):
                await self.attendance.run(sleep)

        asyncio.run(run())
        return self.calls.told[told:]

    def count(self, name: str) -> float | None:
        return self.metrics._registry.get_sample_value(name)


def test_what_begins_and_ends_in_a_moment_is_told_together() -> None:
    world = World()
    first, second = stream("1"), stream("2")
    world.attendance.begin(first)
    assert world.turn() == [(["1"], [])]
    world.attendance.begin(second)
    world.attendance.end(first)
    assert world.turn() == [(["2"], ["1"])]
    assert world.turn() == []
    assert world.attendance.is_settled


def test_a_stream_that_came_and_went_in_a_moment_is_not_told() -> None:
    world = World()
    world.attendance.begin(stream("1"))
    world.attendance.end(stream("1"))
    assert world.turn() == []


def test_a_stream_that_was_turned_away_is_not_told_when_it_ends() -> None:
    world = World()
    world.attendance.end(stream("1"))
    assert world.turn() == []


def test_a_batch_has_no_further_stream_when_it_is_full() -> None:
    world = World()
    for number in range(4):
        topics = [f"{topic}" for topic in range(MOST_BATCH // 2)]
        world.attendance.begin(stream(str(number), *topics))
    assert world.turn() == [(["0", "1"], []), (["2", "3"], [])]
    assert world.calls.sizes == [MOST_BATCH, MOST_BATCH]


def test_changes_wait_while_the_history_is_away() -> None:
    world = World()
    kept, gone = stream("kept"), stream("gone")
    world.attendance.begin(gone)
    world.turn()
    world.calls.is_away = True
    world.attendance.begin(kept)
    world.attendance.end(gone)
    assert world.turn() == [(["kept"], ["gone"])]
    world.attendance.begin(stream("short"))
    world.attendance.end(stream("short"))
    world.calls.is_away = False
    assert world.turn() == [(["kept"], ["gone"])]


def test_a_stream_that_ends_after_its_answer_was_lost_is_told_as_ended() -> None:
    world = World()
    world.calls.is_away = True
    world.attendance.begin(stream("1"))
    assert world.turn() == [(["1"], [])]
    world.attendance.end(stream("1"))
    world.calls.is_away = False
    assert world.turn() == [([], ["1"])]


@pytest.mark.parametrize("is_away", [True, False])
def test_a_stream_that_ends_while_its_beginning_is_told_is_told_as_ended(is_away: bool) -> None:
    world = World()
    world.attendance.begin(stream("1"))
    world.calls.is_away = is_away
    world.calls.meanwhile = lambda: world.attendance.end(stream("1"))
    world.turn()
    world.calls.is_away = False
    world.calls.meanwhile = lambda: None
    world.turn()
    assert world.calls.told == [(["1"], []), ([], ["1"])]
    assert world.attendance.is_settled


def test_a_failure_is_logged_once_for_a_cause_and_counted_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.calls.is_away = True
    world.attendance.begin(stream("1"))
    with caplog.at_level(logging.INFO):
        world.turn(6)
        world.calls.is_away = False
        world.turn()
    assert [record.message for record in caplog.records] == [
        "the registry of subscriptions takes no changes: they wait",
        "the registry of subscriptions takes changes again",
    ]
    name = "barestream_subscription_changes_failed_total"
    assert world.metrics._registry.get_sample_value(name, {"cause": "unreachable"}) == 3


def test_the_lease_is_renewed_while_there_are_streams_and_no_changes() -> None:
    world = World()
    world.turn(200)
    assert world.calls.renewals == 0
    world.attendance.begin(stream("1"))
    world.turn(1)
    began = world.seconds
    while world.calls.renewals < 3:
        world.turn(1)
    assert 3 * RENEW_SECONDS <= world.seconds - began < 3 * RENEW_SECONDS + 1


def test_a_worker_whose_lease_was_not_known_announces_all_its_streams_again() -> None:
    world = World()
    for name in ("1", "2"):
        world.attendance.begin(stream(name))
        world.turn()
    world.calls.is_known = False
    world.attendance.begin(stream("3"))
    assert world.turn() == [(["3"], []), (["1", "2"], [])]
    world.calls.is_known = False
    while not (told := world.turn()):
        pass
    assert told == [(["3", "1", "2"], [])]


def test_the_first_change_of_a_worker_is_not_told_twice() -> None:
    world = World()
    world.calls.is_known = False
    world.attendance.begin(stream("1"))
    assert world.turn() == [(["1"], [])]


def test_a_stream_that_ends_before_it_is_announced_again_is_told_as_ended() -> None:
    world = World()
    world.attendance.begin(stream("1"))
    world.turn()
    world.calls.is_known = False
    world.attendance.begin(stream("2"))
    world.calls.meanwhile = lambda: world.attendance.end(stream("1"))
    assert world.turn() == [(["2"], []), ([], ["1"])]


def test_a_stream_with_too_long_a_payload_is_not_registered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    long = stream("1", "a", "b", payload=f'"{"x" * MOST_CHARACTERS}"')
    for _ in range(2):
        world.attendance.begin(long)
        world.attendance.end(long)
    assert world.turn() == []
    assert world.count("barestream_subscriptions_unregistered_total") == 4
    assert len(caplog.records) == 1


def test_subscriptions_without_room_are_counted() -> None:
    world = World()
    world.calls.refused = 2
    world.attendance.begin(stream("1", "a", "b"))
    world.turn()
    assert world.count("barestream_subscriptions_unregistered_total") == 2


def test_a_worker_that_stops_tells_its_last_ends() -> None:
    world = World()
    world.attendance.begin(stream("1"))
    world.turn()
    world.attendance.end(stream("1"))
    asyncio.run(world.attendance.settle())
    assert world.calls.told[-1] == ([], ["1"])


def test_a_worker_stops_although_the_history_is_away(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.attendance.begin(stream("1"))
    world.turn()
    world.attendance.end(stream("1"))
    world.calls.is_away = True
    asyncio.run(world.attendance.settle())
    assert "was not told" in caplog.text

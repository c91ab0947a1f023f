import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from barestream.history.broker import (
    BrokerAwayError,
    HistoryBounds,
    TooMuchKeptError,
    TopicEndedError,
)
from barestream.history.intake import REMIND_SECONDS, Intake
from barestream.history.local import LocalBroker
from barestream.history.misfit import Misfit
from barestream.history.producers import Accepted, Batch, Producer, SequenceGapError
from barestream.history.update import Update
from barestream.mercure.sse import Event
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock


class RefusingBroker(LocalBroker):
    """A broker that refuses every update while it has a cause."""

    def __init__(self) -> None:
        super().__init__(HistoryBounds(100, 1e9, 10**9), FakeClock(1.0))
        self.cause = ""
        self.probes = 0
        self.does_not_fit: list[Misfit] = []

    async def publish(self, update: Update) -> str:
        self._answer()
        return await super().publish(update)

    async def publish_all(self, updates: Sequence[Update]) -> list[str]:
        self._answer()
        return await super().publish_all(updates)

    async def publish_batch(self, batch: Batch) -> Accepted:
        self._answer()
        return await super().publish_batch(batch)

    async def probe(self) -> None:
        self.probes += 1
        self._answer()

    async def misfits(self) -> list[Misfit]:
        return self.does_not_fit

    def _answer(self) -> None:
        if self.cause:
            words = f"refuses: {self.cause}"
            raise BrokerAwayError(f"{self.cause} so", cause=self.cause, words=words)


class World:
    """An intake that sends its probes when the test lets time pass."""

    def __init__(self) -> None:
        self.broker = RefusingBroker()
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.intake = Intake(self.broker, self.metrics, self.clock)
        self._turns: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(self, _seconds: float) -> None:
        await self._turns.get()

    async def look(self, seconds: float = 2.0) -> None:
        """Let time pass until the intake has looked at the broker once more."""
        self.clock.seconds += seconds
        self._turns.put_nowait(None)
        await settle()

    async def publish(self, data: str = "data", event_id: str | None = None) -> str:
        """Return the cause for which an update was refused, if it was."""
        try:
            await self.intake.publish(Update(("t",), Event(data, event_id)))
        except BrokerAwayError as error:
            return error.cause
        return ""

    def figure(self, line: str) -> bool:
        return line in self.metrics.text().decode().splitlines()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


Scenario = Callable[[World], Coroutine[Any, Any, None]]


def run(scenario: Scenario, caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return the lines that were logged, each with its cause."""

    async def main() -> None:
        world = World()
        running = asyncio.create_task(world.intake.run(world.sleep))
        await scenario(world)
        running.cancel()
        await asyncio.wait([running])

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    return [(record.message, vars(record).get("cause", "")) for record in caplog.records]


OPEN = ("broker accepts updates", "")


def closed(cause: str) -> tuple[str, str]:
    return ("broker does not accept updates", cause)


def test_a_broker_that_refuses_updates_is_found_before_the_first_publish(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(world: World) -> None:
        assert not world.intake.ready
        assert world.figure("barestream_history_writable 0.0")
        await settle()
        assert world.intake.ready
        assert world.figure("barestream_history_writable 1.0")
        world.broker.cause = "OOM"
        await world.look()
        assert not world.intake.ready
        assert world.intake.words == "refuses: OOM"
        assert world.figure("barestream_history_writable 0.0")
        text = world.metrics.text().decode()
        [failed] = re.findall(r'history_failed_timestamp_seconds{cause="OOM"} (\S+)', text)
        [changed] = re.findall(r"(?m)^\w+history_changed_timestamp_seconds (\S+)$", text)
        assert float(failed) >= float(changed) > 0
        world.broker.cause = ""
        await world.look()
        assert world.intake.ready
        await world.look()

    assert run(scenario, caplog) == [OPEN, closed("OOM"), OPEN]


def test_no_probe_is_sent_while_publishes_are_accepted(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> None:
        await settle()
        for _ in range(5):
            await world.publish()
            await world.look()
        assert world.broker.probes == 1
        await world.look()
        assert world.broker.probes == 2

    run(scenario, caplog)


def test_a_repeated_cause_is_logged_at_intervals_and_a_changed_one_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(world: World) -> None:
        await settle()
        world.broker.cause = "READONLY"
        for _ in range(100):
            assert await world.publish() == "READONLY"
        world.broker.cause = "LOADING"
        for _ in range(100):
            assert await world.publish() == "LOADING"
        await world.look(REMIND_SECONDS - 1)
        await world.look(1)
        assert world.figure('barestream_publishes_failed_total{cause="LOADING"} 100.0')
        assert world.figure('barestream_publishes_failed_total{cause="READONLY"} 100.0')

    lines = run(scenario, caplog)
    assert lines == [OPEN, closed("READONLY"), closed("LOADING"), closed("LOADING")]
    untaken = [vars(record)["untaken"] for record in caplog.records]
    assert untaken == [0, 1, 100, 99]


def test_alternating_causes_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> None:
        await settle()
        for n in range(1000):
            world.broker.cause = ("unreachable", "LOADING")[n % 2]
            await world.publish()
            world.clock.seconds += 0.01

    assert len(run(scenario, caplog)) < 30


def test_a_broker_that_fails_repeatedly_is_not_logged_as_writable_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(world: World) -> None:
        await settle()
        for _ in range(10):
            world.broker.cause = "full"
            await world.publish()
            world.broker.cause = ""
            await world.publish()
            assert world.intake.ready
            await world.look()
        await world.look()

    assert run(scenario, caplog) == [OPEN, closed("full"), OPEN]


def test_settings_that_do_not_fit_are_logged_each_time_that_the_broker_becomes_writable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(world: World) -> None:
        world.broker.does_not_fit = [Misfit("too small", {"maxmemory_bytes": 5}, "set it")]
        for cause in ("", "OOM", "", ""):
            world.broker.cause = cause
            await world.look()

    lines = run(scenario, caplog)
    assert [line for line, _ in lines] == [
        *("broker accepts updates", "too small", "broker does not accept updates"),
        *("broker accepts updates", "too small"),
    ]
    warning = vars(caplog.records[1])
    assert (warning["maxmemory_bytes"], warning["remedy"]) == (5, "set it")


def test_updates_that_are_given_together_count_as_one_publish(
    caplog: pytest.LogCaptureFixture,
) -> None:
    updates = [Update(("t",), Event(str(number), f"id {number}")) for number in range(3)]

    async def scenario(world: World) -> None:
        await settle()
        assert await world.intake.publish_all(updates) == ["id 0", "id 1", "id 2"]
        world.broker.cause = "OOM"
        with pytest.raises(BrokerAwayError):
            await world.intake.publish_all(updates)
        assert not world.intake.ready
        assert world.figure('barestream_publishes_failed_total{cause="OOM"} 1.0')

    assert run(scenario, caplog) == [OPEN, closed("OOM")]


def test_a_batch_is_taken_as_a_whole_and_counted_once_when_it_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(world: World) -> None:
        await settle()
        updates = [Update(("t",), Event(data)) for data in "ab"]
        batch = Batch("t", Producer("p", 0), 0, updates)
        assert (await world.intake.publish_batch(batch)).new == 2
        with pytest.raises(SequenceGapError):
            await world.intake.publish_batch(batch._replace(first=3))
        assert world.intake.ready
        world.broker.cause = "OOM"
        with pytest.raises(BrokerAwayError):
            await world.intake.publish_batch(batch)
        assert not world.intake.ready
        assert world.figure('barestream_publishes_failed_total{cause="OOM"} 1.0')

    assert run(scenario, caplog) == [OPEN, closed("OOM")]


@pytest.mark.parametrize("error", [TopicEndedError("t"), TooMuchKeptError("full")])
def test_an_update_that_is_refused_for_its_content_is_no_failure_of_the_history(
    error: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> str:
        raise error

    async def scenario(world: World) -> None:
        await settle()
        monkeypatch.setattr(world.broker, "publish", refuse)
        monkeypatch.setattr(world.broker, "publish_all", refuse)
        update = Update(("t",), Event("data"))
        for giving in (world.intake.publish(update), world.intake.publish_all([update])):
            with pytest.raises(type(error)):
                await giving
        await world.look()
        assert world.intake.ready
        assert not world.figure("barestream_publishes_failed_total")

    assert run(scenario, caplog) == [OPEN]

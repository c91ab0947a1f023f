import asyncio
import logging

import pytest

from barestream.history.broker import BrokerAwayError, HistoryBounds
from barestream.history.extent import Extent
from barestream.history.local import LocalBroker
from barestream.history.measuring import Measuring
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock

Answer = Extent | BrokerAwayError


class AnsweringBroker(LocalBroker):
    """A broker that is asked for its extent as often as it has answers."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(HistoryBounds(100, 1e9, 10**9), FakeClock(1.0))
        self.answers = [*answers]

    async def extent(self) -> Extent:
        answer = self.answers.pop(0)
        if isinstance(answer, BrokerAwayError):
            raise answer
        return answer


def noted(*answers: Answer) -> list[str]:
    """Return the lines of the metrics after these answers."""
    metrics, broker = Metrics(), AnsweringBroker(*answers)

    async def sleep(_seconds: float) -> None:
        if not broker.answers:
            raise asyncio.CancelledError

    async def measure() -> None:
        measuring = Measuring(broker, metrics.history)
        await asyncio.wait([asyncio.create_task(measuring.run(sleep))])

    asyncio.run(measure())
    return metrics.text().decode().splitlines()


def test_the_metrics_have_what_was_measured_last() -> None:
    lines = noted(Extent(9, 9, 9, 9, 9), Extent(2, 300, 4.5, 5000, 6000))
    for line in (
        "barestream_history_updates 2.0",
        "barestream_history_bytes 300.0",
        "barestream_history_oldest_seconds 4.5",
        "barestream_valkey_memory_bytes 5000.0",
        "barestream_valkey_memory_limit_bytes 6000.0",
    ):
        assert line in lines


def test_while_the_history_is_away_the_last_figures_stay_and_one_line_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    away = BrokerAwayError("no route", cause="unreachable")
    assert "barestream_history_updates 7.0" in noted(Extent(7, 1, 1), away, away)
    [line] = caplog.records
    assert line.message == "the history cannot be measured: its figures stay as they were"
    assert (vars(line)["cause"], vars(line)["why"]) == ("unreachable", "no route")


def test_the_figures_go_on_once_the_history_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lines = noted(BrokerAwayError("no route", cause="unreachable"), Extent(8, 1, 1))
    assert "barestream_history_updates 8.0" in lines
    assert caplog.messages[-1] == "the history is measured again"

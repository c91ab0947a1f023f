import logging

import pytest

from barestream.server.awaited import Awaited
from barestream.server.notices import SILENCE_SECONDS, Notices


class Connection:
    def __init__(self) -> None:
        self.overdue = 0

    def be_overdue(self) -> None:
        self.overdue += 1


class Broken(Connection):
    def be_overdue(self) -> None:
        raise RuntimeError


def test_a_wait_becomes_overdue_once_and_not_before_its_seconds() -> None:
    awaited, connection = Awaited(), Connection()
    awaited.begin(connection, 10)
    for _ in range(10):
        awaited.sweep()
        awaited.begin(connection, 10)
    assert connection.overdue == 0
    awaited.sweep()
    awaited.sweep()
    assert connection.overdue == 1


def test_a_wait_that_is_renewed_or_ended_is_not_overdue() -> None:
    awaited, renewed, ended = Awaited(), Connection(), Connection()
    awaited.begin(ended, 1)
    for _ in range(5):
        awaited.renew(renewed, 1)
        awaited.sweep()
        awaited.end(ended)
    assert (renewed.overdue, ended.overdue) == (0, 0)


def test_a_connection_that_fails_to_end_does_not_stop_the_sweep() -> None:
    awaited, broken, connection = Awaited(), Broken(), Connection()
    awaited.begin(broken, 0)
    awaited.begin(connection, 0)
    awaited.sweep()
    assert connection.overdue == 1
    assert broken not in awaited


def test_the_first_notice_of_a_kind_is_logged_and_later_ones_at_intervals(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    notices = Notices(lambda: now)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            notices.say("too long", "1.2.3.4")
        notices.say("too large", "1.2.3.4")
        now = SILENCE_SECONDS
        notices.say("too long", "5.6.7.8")
    said = [
        (each.message, vars(each)["client"], vars(each)["more_before"]) for each in caplog.records
    ]
    assert said == [
        ("too long", "1.2.3.4", 0),
        ("too large", "1.2.3.4", 0),
        ("too long", "5.6.7.8", 2),
    ]

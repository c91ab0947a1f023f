from typing import Any

import pytest
from valkey.exceptions import ResponseError, ValkeyError

from barestream.history.valkey.guide import Address
from barestream.history.valkey.sentinel_reports import Report, newest, report

A, B, C = (Address(host, 6379) for host in "abc")


def answers(host: bytes, epoch: bytes) -> list[Any]:
    return [[host, b"6379"], [b"name", b"s", b"ip", b"earlier", b"config-epoch", epoch]]


def test_a_report_has_the_address_that_the_sentinel_gives_to_clients_and_its_epoch() -> None:
    assert report(answers(b"a", b"7")) == Report(A, 7)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([None, ResponseError("ERR No such master with that name")], "No such master"),
        ([ResponseError("NOPERM no"), ResponseError("NOPERM no")], "NOPERM"),
        ([None, []], "does not know the service"),
        ([b"PONG", b"PONG"], "is it a sentinel"),
        ([[b"a", b"port"], [b"config-epoch", b"1"]], "is it a sentinel"),
        ([[b"a", b"1"], [b"ip", b"a"]], "is it a sentinel"),
        ([[b"a", b"1"], [b"config-epoch"]], "is it a sentinel"),
    ],
)
def test_an_answer_without_a_report_says_why(given: list[Any], why: str) -> None:
    with pytest.raises(ValkeyError, match=why):
        report(given)


def test_without_a_report_what_is_known_stays() -> None:
    assert newest([], Report(A, 1), 3) == Report(A, 1)
    assert newest([], None, 3) is None


def test_the_report_of_the_highest_epoch_counts_also_against_a_majority() -> None:
    assert newest([Report(A, 1), Report(A, 1), Report(B, 2)], Report(A, 1), 3) == Report(B, 2)


def test_sentinels_that_were_away_do_not_lead_back_to_an_earlier_primary() -> None:
    known = Report(B, 2)
    assert newest([Report(A, 1)], known, 3) == known
    assert newest([Report(A, 1)], known, 2) == known


def test_a_majority_that_was_set_up_anew_is_followed() -> None:
    assert newest([Report(C, 0), Report(C, 0)], Report(B, 2), 3) == Report(C, 0)


def test_of_one_epoch_the_address_counts_that_most_sentinels_name() -> None:
    assert newest([Report(A, 1), Report(B, 1), Report(B, 1)], Report(A, 1), 3) == Report(B, 1)


def test_of_equally_many_the_known_address_stays() -> None:
    for reports in ([Report(A, 1), Report(B, 1)], [Report(B, 1), Report(A, 1)]):
        assert newest(reports, Report(B, 1), 2) == Report(B, 1)

from typing import Any

import pytest
from valkey.exceptions import OutOfMemoryError, ResponseError

from barestream.history.valkey.copies import Copies

MARKED = 0


def test_without_replicas_nothing_is_asked_and_every_write_counts() -> None:
    copies = Copies(0)
    answers: list[Any] = [b"1-0"]
    assert copies.commands == copies.check == ()
    assert copies.shortfall(answers) is None
    assert answers == [b"1-0"]


def test_a_write_that_enough_replicas_have_counts_and_its_answers_stay() -> None:
    answers: list[Any] = [b"1-0", MARKED, [1, 2]]
    assert Copies(2).shortfall(answers) is None
    assert answers == [b"1-0"]


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ([MARKED, [1, 1]], "disks of 1 replicas had the update, and that of"),
        ([MARKED, [0, 2]], "and not that of the primary"),
        ([MARKED, ResponseError("UNBLOCKED it became a replica")], "UNBLOCKED"),
        ([OutOfMemoryError("command not allowed"), [1, 2]], "command not allowed"),
    ],
)
def test_of_a_write_that_is_not_confirmed_nobody_knows_whether_it_lasts(
    last: list[Any], why: str
) -> None:
    error = Copies(2).shortfall([b"1-0", *last])
    assert error is not None
    assert why in str(error)
    assert (error.cause, error.nothing_taken, error.is_refusal) == ("replicas", False, False)


def test_a_server_that_cannot_confirm_writes_is_named_with_the_setting_and_the_remedy() -> None:
    copies = Copies(1)
    assert copies.cannot([1, 0]) is None
    error = copies.cannot(ResponseError("unknown command 'WAITAOF'"))
    assert error is not None
    assert (error.cause, error.nothing_taken) == ("WAITAOF", True)
    assert "BARESTREAM_BROKER_REPLICAS=1" in str(error)
    assert "Redis 7.2" in str(error)

from typing import Any

import pytest
from valkey.exceptions import OutOfMemoryError, ResponseError

from barestream.history.valkey.copies import Copies

MARKED = 0

# How many replicas have read a write.
READ = 2


def test_without_replicas_nothing_is_asked_and_every_write_counts() -> None:
    copies = Copies(0)
    answers: list[Any] = [b"1-0"]
    assert copies.commands == copies.check == ()
    assert copies.shortfall(answers) is None
    assert answers == [b"1-0"]


def test_a_write_that_enough_replicas_have_counts_and_its_answers_stay() -> None:
    answers: list[Any] = [b"1-0", MARKED, READ, [1, 2]]
    assert Copies(2).shortfall(answers) is None
    assert answers == [b"1-0"]


def test_replicas_are_asked_for_their_disks_once_they_have_read_the_write() -> None:
    assert [command[0] for command in Copies(2).commands] == [b"HSET", b"WAIT", b"WAITAOF"]


def test_a_server_that_refuses_to_wait_for_the_reading_can_still_confirm() -> None:
    refused = ResponseError("NOPERM this user has no permissions to run the 'wait' command")
    assert Copies(2).shortfall([b"1-0", MARKED, refused, [1, 2]]) is None


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (
            [MARKED, READ, [1, 1]],
            "within 0.5 s the disks of 1 replicas had the update, and that of",
        ),
        ([MARKED, READ, [0, 2]], "and not that of the primary"),
        ([MARKED, READ, ResponseError("UNBLOCKED it became a replica")], "UNBLOCKED"),
        ([OutOfMemoryError("command not allowed"), READ, [1, 2]], "command not allowed"),
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

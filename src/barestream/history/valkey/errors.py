"""The meaning of Valkey's error answers, and plain words for its error codes.

Valkey checks whether it may write before a command, and before the first write of a script, but
not once the script has written. So an update that was refused with one of these codes is not in the
history. An error without such a code may come from the middle of a script, after its update was
added.
Tried on Redis 7.0 and Valkey 8.1.

Source: https://valkey.io/topics/protocol/#simple-errors, and Valkey's server.c and script.c.
"""

import re
from collections.abc import Callable, Sequence

from valkey.exceptions import AuthenticationError, BusyLoadingError, ResponseError

from barestream.history.broker import BrokerAwayError, TooMuchKeptError, TopicEndedError
from barestream.history.producers import (
    NewEpochError,
    SequenceGapError,
    StaleEpochError,
    TooManyProducersError,
    UnknownRunError,
)
from barestream.history.update import Update
from barestream.history.valkey.tls import handshake_failure
from barestream.history.valkey.valkey_parts import CODES

# The errors that are answers. Two of them are connection errors by their class.
ANSWERED = (ResponseError, AuthenticationError, BusyLoadingError)

_MOVES = "its cluster moves the history to another node"
_UNKNOWN_USER = "it does not accept the service's user or password"

_WORDS = {
    "ASK": _MOVES,
    "BUSY": "it is busy with a script",
    "CLUSTERDOWN": "its cluster is down",
    "CROSSSLOT": "its cluster does not keep the history's keys together",
    "EXECABORT": "it discarded the transaction",
    "LOADING": "it is still loading its data",
    "MASTERDOWN": "it is a replica without its primary",
    "MISCONF": "it cannot write its data to the disk",
    "MOVED": _MOVES,
    "NOAUTH": _UNKNOWN_USER,
    "NOPERM": "the service's user lacks the permission",
    "NOREPLICAS": "too few of its replicas are connected",
    "NOSCRIPT": "it does not know the script",
    "OOM": "its memory is full",
    "READONLY": "it is a read-only replica",
    "TRYAGAIN": _MOVES,
    "UNBLOCKED": "it has become a replica",
    "WRONGPASS": _UNKNOWN_USER,
}

# What the log adds to a message; clients are not told.
_CHECK_USER = "check the user in BARESTREAM_BROKER_URL, and BARESTREAM_BROKER_PASSWORD"
_REMEDIES = {
    "NOAUTH": _CHECK_USER,
    "NOPERM": "give the service's user the rules in deploy/valkey-service.acl",
    "WRONGPASS": _CHECK_USER,
}

# How Redis 7.0, and later servers, say that a script lacks a permission. The script may have
# written before.
_IN_SCRIPT = re.compile(r"The user executing the script can't |ACL failure in script: ")

# The part of a message that quotes a command, or names a line of a script.
_TAIL = re.compile(r",? (?:with args beginning with|script: [0-9a-f]{40}).*", re.DOTALL)

_DISCARDED = re.compile(r"because of: ([A-Z]+) ")


def _ended(updates: Sequence[Update], topic: int, number: int = 1) -> Exception:
    topics = [*dict.fromkeys(updates[number - 1].topics)]
    return TopicEndedError(topics[topic - 1], number - 1)


# By the code of a script's error, what makes the error of the updates and of the numbers that
# follow the code (lua/publish.lua, lua/batch.lua).
_FORBIDDEN: dict[str, Callable[..., Exception]] = {
    "ENDED": _ended,
    "KEPTFULL": lambda _, number=1: TooMuchKeptError(at=number - 1),
    "STALE": lambda _, epoch: StaleEpochError(epoch),
    "NEWEPOCH": lambda _: NewEpochError(),
    "GAP": lambda _, expected, received: SequenceGapError(expected, received),
    "UNKNOWNRUN": lambda _: UnknownRunError(),
    "TOOMANY": lambda _: TooManyProducersError(),
}


def refusal(error: Exception) -> BrokerAwayError | None:
    """Return the error for a refusal, which changed nothing; None for other answers."""
    message = _message(error)
    code = CODES.get(type(error))
    if code is None and isinstance(error, AuthenticationError):
        code = "WRONGPASS" if "invalid" in message.lower() else "NOAUTH"
    if code is None:
        code, _, rest = message.partition(" ")
        message = rest or message
    if code == "EXECABORT" and (discarded := _DISCARDED.search(message)):
        code = discarded[1]
    if code not in _WORDS:
        return None
    return BrokerAwayError(
        _with_remedy(code, message),
        cause=code,
        words=f"refuses requests: {_WORDS[code]}",
        is_refusal=True,
        nothing_taken=True,
    )


def is_to_be_repeated(error: Exception) -> bool:
    """Return whether a publish was not accepted yet, and is to be sent again (lua/publish.lua)."""
    return _message(error).startswith("AGAIN")


def unaccepted(error: Exception, updates: Sequence[Update]) -> Exception | None:
    """Return the error for updates that the history's state forbids; None for others.

    Args:
        error: The script's error.
        updates: The updates that were to be published together.
    """
    code, *words = _message(error).split()
    if code not in _FORBIDDEN:
        return None
    return _FORBIDDEN[code](updates, *map(int, words))


def answered(error: Exception) -> BrokerAwayError:
    """Return the error for any error answer."""
    message = _message(error)
    if _IN_SCRIPT.match(message):
        return BrokerAwayError(
            _with_remedy("NOPERM", message),
            cause="NOPERM",
            words=f"refuses requests: {_WORDS['NOPERM']}",
        )
    return refusal(error) or BrokerAwayError(message, cause="error", words="answers with an error")


def unreachable(error: Exception) -> BrokerAwayError:
    """Return the error for a server that could not be connected to."""
    message = _message(error)
    if failure := handshake_failure(error):
        # The client library quotes OpenSSL after the address.
        message = f"{message.partition('. ')[0]}: {failure}"
    return refusal(error) or BrokerAwayError(
        message, cause="unreachable", words="cannot be reached", nothing_taken=True
    )


def broken(error: Exception) -> BrokerAwayError:
    """Return the error for a connection that ended before the answer was complete."""
    return BrokerAwayError(_message(error), cause="broken", words="has closed the connection")


def unanswered(seconds: float, *, nothing_taken: bool) -> BrokerAwayError:
    """Return the error for an answer that did not come within so many seconds."""
    return BrokerAwayError(
        f"no answer within {seconds} s", cause="unanswered", nothing_taken=nothing_taken
    )


def _with_remedy(code: str, message: str) -> str:
    remedy = _REMEDIES.get(code)
    return f"{code} {message}" + (f"; {remedy}" if remedy else "")


def _message(error: Exception) -> str:
    return _TAIL.sub("", str(error)) or type(error).__name__

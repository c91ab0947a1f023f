"""What Valkey's error answers mean: each code that says that nothing was done, in plain words.

Valkey checks whether it may write before a command, and before the first write of a script; a
script that has begun to write is not refused any more. So an update that was refused with one of
these codes is not in the log. An error without one of them may have come from the middle of a
script, after its update was added. Tried on Redis 7.0 and Valkey 8.1.

Source: https://valkey.io/topics/protocol/#simple-errors, and Valkey's server.c and script.c.
"""

import re

from valkey.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ExecAbortError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from barestream.broker.broker import BrokerAwayError

# The errors that are answers: the client library makes two of them kinds of a broken connection.
ANSWERED = (ResponseError, AuthenticationError, BusyLoadingError)

_CLUSTER = "it is a node of a cluster that does not have the log"
_UNKNOWN_USER = "it does not accept the service's password"

_WORDS = {
    "ASK": _CLUSTER,
    "BUSY": "it is busy with a script",
    "CLUSTERDOWN": "its cluster is down",
    "CROSSSLOT": _CLUSTER,
    "EXECABORT": "it has discarded the transaction",
    "LOADING": "it is still loading its data",
    "MASTERDOWN": "it is a replica without its primary",
    "MISCONF": "it cannot write its data to the disk",
    "MOVED": _CLUSTER,
    "NOAUTH": _UNKNOWN_USER,
    "NOPERM": "the service's user lacks the permission",
    "NOREPLICAS": "too few of its replicas are connected",
    "NOSCRIPT": "it does not know the script",
    "OOM": "its memory is full",
    "READONLY": "it is a read-only replica",
    "TRYAGAIN": _CLUSTER,
    "UNBLOCKED": "it has become a replica",
    "WRONGPASS": _UNKNOWN_USER,
}

# The client library takes the code off the messages of these.
_CODES: dict[type[Exception], str] = {
    BusyLoadingError: "LOADING",
    ExecAbortError: "EXECABORT",
    NoPermissionError: "NOPERM",
    NoScriptError: "NOSCRIPT",
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
}

# What comes after it is the content of a command, or where in a script it was.
_TAIL = re.compile(r",? (?:with args beginning with|script: [0-9a-f]{40}).*", re.DOTALL)

_DISCARDED = re.compile(r"because of: ([A-Z]+) ")


def refusal(error: Exception) -> BrokerAwayError | None:
    """Return what is told of an error answer by which Valkey has done nothing; None of others."""
    message = _message(error)
    code = _CODES.get(type(error))
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
        f"{code} {message}",
        cause=code,
        words=f"refuses what it is asked: {_WORDS[code]}",
        is_refusal=True,
        nothing_taken=True,
    )


def answered(error: Exception) -> BrokerAwayError:
    """Return what is told of any error answer."""
    return refusal(error) or BrokerAwayError(
        _message(error), cause="error", words="answers with an error"
    )


def unreachable(error: Exception) -> BrokerAwayError:
    """Return what is told where there was no connection by which to ask."""
    return refusal(error) or BrokerAwayError(
        _message(error), cause="unreachable", words="cannot be reached", nothing_taken=True
    )


def broken(error: Exception) -> BrokerAwayError:
    """Return what is told where the connection ended before the whole answer came."""
    return BrokerAwayError(_message(error), cause="broken", words="has broken the connection")


def unanswered(seconds: float, *, nothing_taken: bool) -> BrokerAwayError:
    """Return what is told where no answer came within so many seconds."""
    return BrokerAwayError(
        f"no answer within {seconds} s", cause="unanswered", nothing_taken=nothing_taken
    )


def _message(error: Exception) -> str:
    return _TAIL.sub("", str(error)) or type(error).__name__

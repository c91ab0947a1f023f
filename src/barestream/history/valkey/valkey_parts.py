"""The parts of valkey-py that the connections build on, and that valkey-py does not document.

tests/unit/test_library_parts.py compares the installed valkey-py with this file.
"""

from asyncio import Transport
from typing import Any, cast

from libvalkey import Reader
from valkey._parsers import BaseParser
from valkey.asyncio import connection as module
from valkey.asyncio.connection import Connection, UnixDomainSocketConnection, parse_url
from valkey.exceptions import (
    BusyLoadingError,
    ExecAbortError,
    InvalidResponse,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
)

__all__ = [
    "NOT_YET",
    "Connection",
    "NoScriptError",
    "UnixDomainSocketConnection",
    "answers_reader",
    "parse_url",
    "transport_of",
]

# The version in which the parts were read.
READ_IN = {"valkey": "6.2.0"}

_OF_CONNECTION = (
    # It disconnects where it fails, and so forgets its writer. Once it has connected, it reads and
    # writes nothing that it is not asked for.
    *("async connect(self)", "async disconnect(self, nowait)"),
    # A StreamWriter; None before connect and after disconnect.
    "_writer",
)

# By class or module: the functions that are called here, with their parameters, and the attributes
# that are read here.
PARTS = {
    Connection: _OF_CONNECTION,
    UnixDomainSocketConnection: _OF_CONNECTION,
    module: ("parse_url(url)",),
    BaseParser: ("parse_error(cls, response)",),
}

# The error codes that BaseParser.parse_error takes off the messages of these.
CODES: dict[type[Exception], str] = {
    BusyLoadingError: "LOADING",
    ExecAbortError: "EXECABORT",
    NoPermissionError: "NOPERM",
    NoScriptError: "NOSCRIPT",
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
}


# What a reader returns while an answer is incomplete; no answer is this object.
NOT_YET = object()


def answers_reader() -> Reader:
    """Return what reads answers from bytes, in C, with the client library's errors."""
    return Reader(
        protocolError=InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=NOT_YET
    )


def transport_of(connection: Any) -> Transport | None:
    """Return the transport of a connection; None if it is not connected."""
    writer = connection._writer
    return None if writer is None else cast("Transport", writer.transport)

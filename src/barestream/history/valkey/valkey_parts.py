"""The parts of valkey-py that the connections build on, and that valkey-py does not document.

tests/unit/test_library_parts.py compares the installed valkey-py with this file.
"""

from asyncio import StreamWriter
from typing import Any

from valkey._parsers import BaseParser
from valkey.asyncio import connection as module
from valkey.asyncio.connection import Connection, UnixDomainSocketConnection, parse_url
from valkey.exceptions import (
    BusyLoadingError,
    ExecAbortError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
)

__all__ = ["Connection", "NoScriptError", "UnixDomainSocketConnection", "parse_url", "writer_of"]

# The version in which the parts were read.
READ_IN = {"valkey": "6.2.0"}

_OF_CONNECTION = (
    *("async connect(self)", "async disconnect(self, nowait)", "is_connected"),
    # It disconnects where it fails, and so forgets its writer.
    "async send_packed_command(self, command, check_health)",
    "async can_read_destructive(self)",
    "async read_response(self, disable_decoding, timeout, disconnect_on_error, push_request)",
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


def writer_of(connection: Any) -> StreamWriter | None:
    """Return the writer of a connection; None if it is not connected."""
    writer: StreamWriter | None = connection._writer
    return writer

"""The parts of valkey-py that the connections are built on, and that it does not document.

Read valkey-py's asyncio/connection.py again before an upgrade.
"""

from asyncio import StreamWriter
from typing import Any

from valkey.asyncio.connection import Connection, UnixDomainSocketConnection, parse_url

__all__ = ["Connection", "UnixDomainSocketConnection", "parse_url", "writer_of"]

READ_IN = {"valkey": "6.2.0"}

# By class: the methods that are called, and the attributes that are used.
PARTS = {
    Connection: (
        *("can_read_destructive", "connect", "disconnect", "is_connected", "pack_commands"),
        *("read_response", "send_packed_command", "_writer"),
    ),
    UnixDomainSocketConnection: ("_writer",),
}


def writer_of(connection: Any) -> StreamWriter | None:
    """Return where a connection's bytes go; None where it is not connected."""
    writer: StreamWriter | None = connection._writer
    return writer

"""A connection begins as uvicorn's own does."""

import asyncio
from typing import Any

import pytest
from uvicorn import Config

from barestream.server.connection import Connection
from barestream.server.connections_state import ConnectionsState
from barestream.server.uvicorn_parts import HttpToolsProtocol

# What each connection has of its own; the parts of others are the same objects, or equal.
OWN = {"connections", "flow", "parser"}


class Socket:
    def __init__(self, peer: Any, own: Any) -> None:
        self._peer = peer
        self._own = own

    def getpeername(self) -> Any:
        return self._peer

    def getsockname(self) -> Any:
        return self._own


class Transport:
    def __init__(self, peer: Any, own: Any, tls: object = None) -> None:
        self._info = {
            "peername": peer,
            "sockname": own,
            "socket": Socket(peer, own),
            "sslcontext": tls,
        }

    def get_extra_info(self, name: str) -> Any:
        return self._info[name]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing."""


def connections(state: ConnectionsState) -> tuple[Connection, HttpToolsProtocol]:
    config = Config(app, ws="none", log_config=None)
    app_state = {"a": 1}
    return Connection(config, state, app_state), HttpToolsProtocol(config, state, app_state)


def same(one: Any, other: Any) -> None:
    assert vars(one).keys() == vars(other).keys()
    for name in vars(one).keys() - OWN:
        assert getattr(one, name) == getattr(other, name), name


def test_a_connection_has_what_uvicorn_gives_one() -> None:
    async def main() -> None:
        same(*connections(ConnectionsState()))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("peer", "own"),
    [
        (("192.0.2.1", 50000), ("192.0.2.2", 80)),
        (("2001:db8::1", 50000, 0, 0), ("2001:db8::2", 80, 0, 0)),
        ("", "/run/app.sock"),
        (None, None),
    ],
)
@pytest.mark.parametrize("tls", [None, object()])
def test_its_addresses_are_those_that_uvicorn_finds(peer: Any, own: Any, tls: object) -> None:
    async def main() -> None:
        state = ConnectionsState()
        one, other = connections(state)
        transport = Transport(peer, own, tls)
        for each in (one, other):
            each.connection_made(transport)  # type: ignore[arg-type]
        same(one, other)
        assert state.connections == {one, other}

    asyncio.run(main())

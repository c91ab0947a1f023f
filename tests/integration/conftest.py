"""The service as `make up` runs it, one for all tests that leave it as they found it."""

from collections.abc import Iterator
from functools import cache, partial

import pytest
from httpx._transports import default

from hub_in_use import Hub, Serving, serve
from support.servers.service import Service
from support.servers.valkey_server import ValkeyServer


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """Return a running service with the settings' defaults."""
    with Service() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_read_once() -> Iterator[None]:
    """Let all clients of httpx share one TLS context, which no test here uses.

    Without this, each client, also that of an `httpx.get`, first reads every certificate: 40 ms.
    Other libraries make their own: tests of other folders in this process add certificates to it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(default, "create_ssl_context", cache(default.create_ssl_context))
        yield


@pytest.fixture(scope="session")
def _valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as valkey:
        yield valkey


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """Return a Valkey for the tests of one file, which may end it and empty it."""
    with ValkeyServer() as running:
        yield running


@pytest.fixture(params=["direct", "asgi", "valkey"])
def serving(request: pytest.FixtureRequest) -> Serving:
    """Return what serves a hub with an empty history; settings as keyword arguments."""
    kind: str = request.param
    valkey = request.getfixturevalue("_valkey") if kind == "valkey" else None
    return partial(serve, kind, valkey)


@pytest.fixture
def hub(serving: Serving) -> Iterator[Hub]:
    """Return a hub with an empty history, and the settings' defaults."""
    with serving() as hub:
        yield hub

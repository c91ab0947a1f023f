"""The service as `make up` runs it, one for all tests that leave it as they found it."""

import ssl
from collections.abc import Iterator
from functools import cache, partial

import pytest

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
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session")
def _valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as valkey:
        yield valkey


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

"""The service as `make up` runs it, one for all tests that leave it as they found it."""

import ssl
from collections.abc import Iterator
from functools import cache

import pytest

from support.servers.service import Service


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

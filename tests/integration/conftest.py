"""The service as `make up` runs it, one for all tests that leave it as they found it."""

from collections.abc import Iterator

import pytest

from service import Service


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """Return a running service with the settings' defaults."""
    with Service() as running:
        yield running

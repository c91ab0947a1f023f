"""A bare VM, on the real engine of this machine."""

from collections.abc import Iterator

import pytest

from programs import path_of, require_docker
from vm import Vm


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    """Have an engine with Compose, and a client of ssh."""
    path_of("ssh", "openssh-client")
    require_docker()


@pytest.fixture(scope="session")
def vm(engine: None) -> Iterator[Vm]:  # noqa: ARG001 (first of all)
    """Return the one VM that the tests of this folder share, bare until one provisions it."""
    with Vm() as running:
        yield running

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
    """Return a VM as deploy/provision leaves it, that tests share."""
    with Vm() as running:
        done = running.deploy("provision")
        assert done.returncode == 0, done.stdout + done.stderr
        yield running

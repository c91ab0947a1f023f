"""A bare VM, on the real Docker of this machine."""

from collections.abc import Iterator

import pytest

from checkout import Checkout
from operating import Operator
from support.servers.programs import path_of, require_docker
from vm import Vm


@pytest.fixture(scope="session", autouse=True)
def docker_runs() -> None:
    """Have a Docker with Compose, and a client of ssh."""
    path_of("ssh", "openssh-client")
    require_docker()


@pytest.fixture(scope="session")
def vm(docker_runs: None) -> Iterator[Vm]:  # noqa: ARG001 (first of all)
    """Return the VM that all tests share: bare, until deploy/provision is tried on it."""
    # Not root: what needs root there goes by sudo.
    with Vm("deployer") as running:
        yield running


@pytest.fixture(scope="session")
def operator(vm: Vm) -> Iterator[Operator]:
    """Return an operator who has brought the VM from bare to serving."""
    with Checkout() as checkout:
        working = Operator(vm, checkout)
        working.set_up()
        yield working


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try deploy/provision first: it wants a bare VM."""
    items.sort(key=lambda item: item.path.name != "test_provision.py")

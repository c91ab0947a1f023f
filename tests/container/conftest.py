"""The project on a real Docker; waits of minutes go on while other tests run."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from compose import Stack
from idle_stream import IdleStream
from support.servers.programs import require_docker
from vanished_client import VanishedClient


@pytest.fixture(scope="session", autouse=True)
def docker_runs() -> None:
    """Have a Docker with Compose; without one skip, but never on CI."""
    require_docker()


@pytest.fixture(scope="session")
def stack(docker_runs: None) -> Iterator[Stack]:  # noqa: ARG001 (first of all)
    """Return the project with the settings' defaults, for tests that leave it as it was."""
    with Stack() as running:
        yield running


@pytest.fixture
def fresh_stack(docker_runs: None) -> Iterator[Stack]:  # noqa: ARG001 (first of all)
    """Return the project with the settings' defaults, for one test to do anything with."""
    with Stack() as running:
        yield running


@pytest.fixture(scope="session")
def waiting(docker_runs: None) -> Iterator[ThreadPoolExecutor]:  # noqa: ARG001 (first of all)
    """Return the threads for waits of minutes, which go on while other tests run."""
    with ThreadPoolExecutor() as threads:
        yield threads


@pytest.fixture(scope="session")
def idle_stack(waiting: ThreadPoolExecutor) -> Iterator[Stack]:  # noqa: ARG001 (it ends after this)
    """Return a project whose streams have a tick every two minutes only.

    It is torn down before the threads: its end ends the streams for which they wait.
    """
    with Stack(clock_seconds=120) as running:
        yield running


@pytest.fixture(scope="session")
def idle_stream(waiting: ThreadPoolExecutor, idle_stack: Stack) -> Future[IdleStream]:
    """Return the five minutes of an idle stream."""
    stream = IdleStream(idle_stack.address)
    return waiting.submit(lambda: asyncio.run(stream.watch()))


@pytest.fixture(scope="session")
def vanished_client(waiting: ThreadPoolExecutor, idle_stack: Stack) -> Future[float | None]:
    """Return for how many seconds nginx kept a client that vanished."""
    return waiting.submit(VanishedClient(idle_stack).watch)


# The shorter wait first.
LONG_WAITS = ("vanished_client", "idle_stream")


@pytest.fixture(scope="session", autouse=True)
def _begin_the_long_waits_first(docker_runs: None, request: pytest.FixtureRequest) -> None:  # noqa: ARG001
    for wait in sorted({_long_wait(item) for item in request.session.items} - {0}):
        request.getfixturevalue(LONG_WAITS[wait - 1])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of long waits last, when the waits are nearly over."""
    items.sort(key=_long_wait)


def _long_wait(item: pytest.Item) -> int:
    """Return which of the long waits a test asks for, from 1 on; 0 for none."""
    names = getattr(item, "fixturenames", ())
    return max((number for number, wait in enumerate(LONG_WAITS, 1) if wait in names), default=0)

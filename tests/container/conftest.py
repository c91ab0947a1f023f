"""A real engine and the project on it; the long idle stream."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from compose import Stack
from idle_stream import IdleStream
from programs import require_docker


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    """Have an engine with Compose; without one skip, but never on CI."""
    require_docker()


@pytest.fixture(scope="session")
def stack(engine: None) -> Iterator[Stack]:  # noqa: ARG001 (first of all)
    """Return the project with the settings' defaults, for tests that leave it as it was."""
    with Stack() as running:
        yield running


@pytest.fixture
def fresh_stack(engine: None) -> Iterator[Stack]:  # noqa: ARG001 (first of all)
    """Return the project with the settings' defaults, for one test to do anything with."""
    with Stack() as running:
        yield running


@pytest.fixture(scope="session")
def idle_stream(engine: None) -> Iterator[Future[IdleStream]]:  # noqa: ARG001 (first of all)
    """Return the five minutes of a stream that is all but silent, while other tests run."""
    # The stack goes first at the end: with it the stream ends, and the thread.
    with ThreadPoolExecutor(1) as thread, Stack(clock_seconds=120) as running:
        stream = IdleStream(running.address)
        yield thread.submit(lambda: asyncio.run(stream.watch()))


@pytest.fixture(scope="session", autouse=True)
def _begin_the_idle_stream_first(engine: None, request: pytest.FixtureRequest) -> None:  # noqa: ARG001
    if any(_waits_for_the_idle_stream(item) for item in request.session.items):
        request.getfixturevalue("idle_stream")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask for the idle stream's five minutes last, when they are nearly over."""
    items.sort(key=_waits_for_the_idle_stream)


def _waits_for_the_idle_stream(item: pytest.Item) -> bool:
    return "idle_stream" in getattr(item, "fixturenames", ())

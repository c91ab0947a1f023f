"""event_stream: the public piece, in an application of a user's own."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import pytest
from bareasgi import Application, HttpRequest, HttpResponse

from barestream import Event, event_stream
from served import Served
from service import wait_for
from sse_client import SseClient

ROOT = Path(__file__).parents[2]
Generator = Callable[[], AsyncGenerator[Event]]


def app_of(generator: Generator) -> Application:
    app = Application()

    @app.on_http_request({"GET"}, "/stream")
    async def _stream(request: HttpRequest) -> HttpResponse:
        return event_stream(request, generator())

    return app


@pytest.fixture(params=[True, False], ids=["direct", "asgi"])
def ours(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def follow(server: Served, seconds: float | None = None) -> SseClient:
    return asyncio.run(SseClient(server.address, "/stream").run(seconds))


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        str(record.__dict__["reason"])
        for record in caplog.records
        if record.getMessage() == "stream ended"
    ]


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "barestream"):
        yield


def test_no_event_waits_for_the_next_one(ours: bool) -> None:
    async def slow() -> AsyncGenerator[Event]:
        while True:
            yield Event(str(time.time()))
            await asyncio.sleep(1.5)

    with Served(app_of(slow), ours=ours) as server:
        client = follow(server, 3.5)
    assert len(client.events) == 3
    assert max(event.at - float(event.data) for event in client.events) < 0.5


def test_a_generators_end_ends_the_response_cleanly(
    ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def three() -> AsyncGenerator[Event]:
        for number in range(3):
            yield Event(f"line\n{number}", id=str(number), type="count")

    with Served(app_of(three), ours=ours) as server:
        client = follow(server)
    assert [(event.id, event.type, event.data) for event in client.events] == [
        ("0", "count", "line\n0"),
        ("1", "count", "line\n1"),
        ("2", "count", "line\n2"),
    ]
    assert client.clean
    assert reasons(caplog) == ["finished"]


def test_when_the_client_leaves_the_generators_finally_runs(
    ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    left: list[str] = []

    async def forever() -> AsyncGenerator[Event]:
        try:
            while True:
                yield Event("tick")
                await asyncio.sleep(0.05)
        finally:
            await asyncio.sleep(0)
            left.append("finally")

    with Served(app_of(forever), ours=ours) as server:
        follow(server, 0.3)
        wait_for("the generator's finally", lambda: left, 1)
        assert reasons(caplog) == ["client left"]
    assert left == ["finally"]


def test_a_generator_that_never_waits_still_lets_its_client_leave(ours: bool) -> None:
    left: list[str] = []

    async def eager() -> AsyncGenerator[Event]:
        try:
            while True:
                yield Event("x" * 1000)
        finally:
            left.append("finally")

    with Served(app_of(eager), ours=ours) as server:
        client = follow(server, 0.5)
        assert len(client.events) > 100
        wait_for("the generator's finally", lambda: left, 2)


def test_an_error_ends_the_stream_and_is_logged_but_not_told(
    ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> AsyncGenerator[Event]:
        yield Event("fine")
        raise RuntimeError("secret")

    with Served(app_of(broken), ours=ours) as server:
        client = follow(server)
    assert [event.data for event in client.events] == ["fine"]
    assert client.clean
    assert reasons(caplog) == ["error"]
    assert sum("event generator failed" in record.getMessage() for record in caplog.records) == 1


def test_a_drain_ends_the_generator_with_a_last_delay(caplog: pytest.LogCaptureFixture) -> None:
    left: list[str] = []

    async def forever() -> AsyncGenerator[Event]:
        try:
            yield Event("first")
            await asyncio.Event().wait()
        finally:
            left.append("finally")

    async def follow_over_a_drain(server: Served) -> SseClient:
        client = SseClient(server.address, "/stream")
        running = asyncio.create_task(client.run(10))
        await client.opened.wait()
        server._server.should_exit = True
        return await running

    with Served(app_of(forever), ours=True) as server:
        client = asyncio.run(follow_over_a_drain(server))
    assert client.clean
    assert len(client.retries_ms) == 2
    assert left == ["finally"]
    assert reasons(caplog) == ["drained"]


def test_the_example_of_the_readme_runs() -> None:
    readme = (ROOT / "README.md").read_text()
    example = readme.partition("<!-- example -->\n```python\n")[2].partition("```")[0]
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    app = names["app"]
    with Served(app, ours=True) as server:
        client = asyncio.run(SseClient(server.address, "/countdown").run(10))
    assert [event.data for event in client.events] == ["3", "2", "1", "lift-off"]
    assert client.clean

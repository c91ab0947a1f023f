"""event_stream, the public function, in an application of a user."""

import asyncio
import itertools
import logging
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
from bareasgi import Application, HttpRequest, HttpResponse

from barestream import Event, event_stream
from support.clients.sse_client import SseClient
from support.servers.served import Served, until
from support.servers.service import PATIENCE_SECONDS, wait_for

ROOT = Path(__file__).parents[2]
Generator = Callable[[], AsyncGenerator[Event]]


def app_of(generator: Generator, *, ends: bool = False) -> Application:
    app = Application()

    @app.on_http_request({"GET"}, "/stream")
    async def _stream(request: HttpRequest) -> HttpResponse:
        return event_stream(request, generator(), ends=ends)

    return app


@pytest.fixture(params=[True, False], ids=["direct", "asgi"])
def ours(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def follow(server: Served) -> SseClient:
    """Read the stream to its end."""
    return asyncio.run(SseClient(server.address, "/stream").run(PATIENCE_SECONDS))


def leave_after(server: Served, events: int) -> None:
    """Leave the stream after so many events."""
    client = SseClient(server.address, "/stream")
    asyncio.run(client.read_until(lambda client: len(client.events) >= events))


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
    received = threading.Semaphore(0)

    async def one_by_one() -> AsyncGenerator[Event]:
        for number in itertools.count():
            yield Event(str(number))
            # The next event is made when this one has arrived.
            while not received.acquire(blocking=False):
                await asyncio.sleep(0.005)

    with Served(app_of(one_by_one), ours=ours) as server:
        client = SseClient(server.address, "/stream", on_event=lambda _: received.release())
        asyncio.run(client.read_until(lambda client: len(client.events) >= 3))
    assert [event.data for event in client.events[:3]] == ["0", "1", "2"]


def test_the_end_of_a_generator_ends_the_response_cleanly(
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


@pytest.mark.parametrize("returns_by", ["header", "query"])
def test_a_client_that_comes_back_after_the_final_end_gets_the_status_that_stops_it(
    ours: bool, returns_by: str
) -> None:
    starts: list[str] = []

    async def one() -> AsyncGenerator[Event]:
        starts.append("start")
        yield Event("only", id="7")

    with Served(app_of(one, ends=True), ours=ours) as server:
        first = follow(server)
        last = first.events[-1]
        assert first.clean
        assert (first.events[0].data, last.data) == ("only", "")
        assert (last.id, last.type) == ("barestream.end", "barestream.end")
        if returns_by == "header":
            again = httpx.get(f"{server.url}/stream", headers={"Last-Event-ID": last.id})
        else:
            again = httpx.get(f"{server.url}/stream", params={"lastEventId": last.id})
        assert (again.status_code, again.content) == (204, b"")
        assert starts == ["start"]
        # The end of one client is not the end of the others.
        assert len(follow(server).events) == 2


def test_the_error_of_a_generator_is_not_a_final_end() -> None:
    async def broken() -> AsyncGenerator[Event]:
        yield Event("fine")
        raise RuntimeError

    with Served(app_of(broken, ends=True), ours=True) as server:
        assert [event.data for event in follow(server).events] == ["fine"]


def test_event_stream_refuses_the_request_of_another_framework_and_names_what_it_needs() -> None:
    class Request:
        scope: ClassVar[dict[str, object]] = {}

    async def events() -> AsyncGenerator[Event]:
        yield Event("never")

    with pytest.raises(TypeError, match=r"expected the bareasgi\.HttpRequest .* got a .*Request"):
        event_stream(Request(), events())  # type: ignore[arg-type]


def test_the_finally_of_a_generator_runs_when_its_client_leaves(
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
        leave_after(server, 2)
        wait_for("the stream's end", lambda: reasons(caplog))
    assert reasons(caplog) == ["client left"]
    assert left == ["finally"]


def test_a_generator_that_never_waits_is_ended_when_its_client_leaves(ours: bool) -> None:
    left: list[str] = []

    async def eager() -> AsyncGenerator[Event]:
        try:
            while True:
                yield Event("x" * 1000)
        finally:
            left.append("finally")

    with Served(app_of(eager), ours=ours) as server:
        leave_after(server, 100)
        wait_for("the generator's finally", lambda: left)


def test_an_error_ends_the_stream_and_is_logged_but_not_sent(
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


def test_a_generator_cancelled_by_another_task_ends_its_stream(
    ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def cancelled() -> AsyncGenerator[Event]:
        yield Event("fine")
        raise asyncio.CancelledError

    with Served(app_of(cancelled), ours=ours) as server:
        client = follow(server)
    assert client.clean
    assert reasons(caplog) == ["error"]


def test_the_log_says_that_the_client_left_even_if_the_generator_catches_its_cancellation(
    ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def seeds() -> AsyncGenerator[Event]:
        is_cancelled = False
        while not is_cancelled:
            try:
                yield Event("tick")
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                is_cancelled = True

    with Served(app_of(seeds), ours=ours) as server:
        leave_after(server, 2)
        wait_for("the end", lambda: reasons(caplog))
    assert reasons(caplog) == ["client left"]


def test_a_client_that_does_not_read_is_cut_at_the_end_of_a_drain(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def flood() -> AsyncGenerator[Event]:
        while True:
            yield Event("x" * 100_000)

    with (
        Served(app_of(flood), ours=True) as server,
        socket.create_connection(server.address) as connection,
    ):
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(1)
        server._server.should_exit = True
        wait_for("the end", lambda: reasons(caplog), 5)
    assert reasons(caplog) == ["drained"]
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []


def test_a_drain_ends_the_generator_and_sends_a_last_delay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    left: list[str] = []

    async def forever() -> AsyncGenerator[Event]:
        try:
            yield Event("first")
            await asyncio.Event().wait()
        finally:
            left.append("finally")

    async def follow_over_a_drain(server: Served) -> SseClient:
        client = SseClient(server.address, "/stream")
        running = asyncio.create_task(client.run(PATIENCE_SECONDS))
        await until(lambda: client.events or running.done())
        server._server.should_exit = True
        return await running

    with Served(app_of(forever), ours=True) as server:
        client = asyncio.run(follow_over_a_drain(server))
    assert client.clean
    assert len(client.retries_ms) == 2
    assert left == ["finally"]
    assert reasons(caplog) == ["drained"]


def test_the_example_of_the_manual_runs() -> None:
    page = (ROOT / "docs/embedding.md").read_text()
    example = page.partition('```python title="countdown.py"\n')[2].partition("```")[0]
    names: dict[str, object] = {}
    exec(compile(example, "embedding.md", "exec"), names)
    app = names["app"]
    with Served(app, ours=True) as server:
        client = asyncio.run(SseClient(server.address, "/countdown").run(PATIENCE_SECONDS))
    assert [event.data for event in client.events] == ["3", "2", "1", "lift-off", ""]
    assert client.clean

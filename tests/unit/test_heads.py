"""Answers that go around uvicorn's sends are what these would write."""

import asyncio
import logging
from typing import Any

import pytest

from barestream.server import heads
from barestream.server.held_transport import send_whole
from barestream.server.uvicorn_parts import RequestResponseCycle

PLAIN = [(b"content-type", b"text/plain"), (b"content-length", b"5")]


class Transport:
    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


class Flow:
    write_paused = False


def cycle(method: str, keep_alive: bool) -> tuple[RequestResponseCycle, Transport, list[str]]:
    transport = Transport()
    over: list[str] = []
    scope: Any = {"type": "http", "method": method, "http_version": "1.1", "headers": []}
    made = RequestResponseCycle(
        scope=scope,
        transport=transport,  # type: ignore[arg-type]
        flow=Flow(),  # type: ignore[arg-type]
        logger=logging.getLogger(),
        access_logger=logging.getLogger(),
        access_log=False,
        default_headers=[(b"date", b"today")],
        message_event=asyncio.Event(),
        expect_100_continue=True,
        keep_alive=keep_alive,
        on_response=lambda: over.append("over"),
    )
    return made, transport, over


ANSWERS = pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, PLAIN, b"hello"),
        (503, [*PLAIN, (b"retry-after", b"1")], b"hello"),
        (413, [*PLAIN, (b"connection", b"close")], b"hello"),
        (200, [(b"content-type", b"text/plain")], b"hello"),
        (204, [], b""),
        (304, [(b"etag", b"x")], b""),
    ],
)


@ANSWERS
@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.parametrize("keep_alive", [True, False])
def test_an_answer_is_what_two_sends_write(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes, method: str, keep_alive: bool
) -> None:
    async def main() -> None:
        one, by_one, over_one = cycle(method, keep_alive)
        await send_whole(one, status, headers, body)
        two, by_two, over_two = cycle(method, keep_alive)
        await two.send({"type": "http.response.start", "status": status, "headers": headers})
        await two.send({"type": "http.response.body", "body": body, "more_body": False})
        assert len(by_one.writes) == 1
        assert b"".join(by_one.writes) == b"".join(by_two.writes)
        assert by_one.is_closed == by_two.is_closed
        assert over_one == over_two == ["over"]
        for name in ("response_started", "response_complete", "waiting_for_100_continue"):
            assert getattr(one, name) == getattr(two, name)
        assert one.message_event.is_set()

    asyncio.run(main())


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b", b"a\x7fb"])
def test_a_header_with_a_control_character_is_not_sent(value: bytes) -> None:
    async def main() -> None:
        made, transport, _ = cycle("POST", keep_alive=True)
        with pytest.raises(RuntimeError, match="Invalid HTTP header"):
            await send_whole(made, 200, [*PLAIN, (b"x-value", value)], b"hello")
        assert transport.writes == []

    asyncio.run(main())


def test_a_length_that_is_not_the_bodys_is_not_sent() -> None:
    async def main() -> None:
        made, _, _ = cycle("POST", keep_alive=True)
        with pytest.raises(RuntimeError, match="Content-Length"):
            await send_whole(made, 200, PLAIN, b"longer than that")

    asyncio.run(main())


def test_a_client_that_has_left_is_sent_nothing() -> None:
    async def main() -> None:
        made, transport, _ = cycle("POST", keep_alive=True)
        made.disconnected = True
        await send_whole(made, 200, PLAIN, b"hello")
        assert transport.writes == []

    asyncio.run(main())


@pytest.mark.parametrize("chunked", [None, False])
@pytest.mark.parametrize("keep_alive", [True, False])
def test_the_head_of_a_stream_is_what_a_send_writes(chunked: bool | None, keep_alive: bool) -> None:
    async def main() -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"Last-Event-ID", b"#1-0")]
        one, _, _ = cycle("GET", keep_alive)
        two, by_two, _ = cycle("GET", keep_alive)
        one.chunked_encoding = two.chunked_encoding = chunked
        head = heads.of_stream(one, headers)
        await two.send({"type": "http.response.start", "status": 200, "headers": headers})
        assert [head] == by_two.writes
        for name in ("response_started", "chunked_encoding", "waiting_for_100_continue"):
            assert getattr(one, name) == getattr(two, name)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", [(b"content-type", b"text/event-stream")]),
        ("GET", [(b"connection", b"close")]),
        ("GET", [(b"Transfer-Encoding", b"chunked")]),
        ("GET", [(b"content-length", b"5")]),
        ("GET", [(b"last-event-id", b"a\r\nset-cookie: b")]),
    ],
)
def test_what_is_special_about_a_head_is_left_to_a_send(
    method: str, headers: list[tuple[bytes, bytes]]
) -> None:
    async def main() -> None:
        made, _, _ = cycle(method, keep_alive=True)
        assert heads.of_stream(made, headers) is None
        assert not made.response_started

    asyncio.run(main())


def test_a_stream_whose_client_has_left_has_no_head() -> None:
    async def main() -> None:
        made, _, _ = cycle("GET", keep_alive=True)
        made.disconnected = True
        assert heads.of_stream(made, []) is None

    asyncio.run(main())

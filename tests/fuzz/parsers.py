"""Parsers of event streams by different hands."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import httpx
from httpx_sse import EventSource
from sseclient import SSEClient


class Parsed(NamedTuple):
    """An event as a client dispatches it."""

    id: str | None
    type: str
    data: str
    retry_ms: int | None


def by_the_standard(pieces: list[bytes]) -> list[Parsed]:
    """Parse by the steps of https://html.spec.whatwg.org/multipage/server-sent-events.html."""
    text = b"".join(pieces).decode().removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    events = []
    last_id: str | None = None
    kind, data, retry_ms = "", "", None
    # What follows the last line end is no line yet.
    for line in lines[:-1]:
        if not line:
            if data:
                events.append(Parsed(last_id, kind or "message", data[:-1], retry_ms))
            kind, data, retry_ms = "", "", None
            continue
        name, colon, value = line.partition(":")
        if colon and not name:
            continue
        value = value.removeprefix(" ")
        match name:
            case "event":
                kind = value
            case "data":
                data += value + "\n"
            case "id" if "\0" not in value:
                last_id = value
            case "retry" if value.isascii() and value.isdigit():
                retry_ms = int(value)
    return events


def by_httpx_sse(pieces: list[bytes]) -> list[Parsed]:
    """Parse by httpx-sse."""
    headers = {"Content-Type": "text/event-stream; charset=utf-8"}
    events = EventSource(httpx.Response(200, headers=headers, content=iter(pieces))).iter_sse()
    return [Parsed(event.id, event.event, event.data, event.retry) for event in events]


def by_sseclient(pieces: list[bytes]) -> list[Parsed]:
    """Parse by sseclient-py."""

    def parsed() -> Iterator[Parsed]:
        for event in SSEClient(iter(pieces)).events():
            retry_ms = int(event.retry) if event.retry is not None else None
            yield Parsed(event.id, event.event, event.data, retry_ms)

    return list(parsed())


PARSERS: tuple[Callable[[list[bytes]], list[Parsed]], ...] = (
    by_the_standard,
    by_httpx_sse,
    by_sseclient,
)

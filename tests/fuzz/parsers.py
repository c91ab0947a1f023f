"""Parsers of event streams by different authors."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import httpx
from httpx_sse import EventSource
from sseclient import SSEClient

from support.clients.event_parser import EventParser


class Parsed(NamedTuple):
    """An event as a client dispatches it."""

    id: str | None
    type: str
    data: str
    retry_ms: int | None


def by_the_standard(pieces: list[bytes]) -> list[Parsed]:
    """Parse by the steps of the standard."""
    parser = EventParser()
    return [
        Parsed(event.id, event.type, event.data, event.retry_ms)
        for piece in pieces
        for event in parser.feed(piece)
    ]


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

"""A proxy that is not ours in front of our nginx, with its stock buffering."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import httpx
import pytest

from compose import Stack
from support.clients.sse_client import SseClient
from support.judges.ticks import assert_whole, lateness_ms
from support.servers.service import free_port, wait_for

SECONDS = 6


@pytest.fixture(scope="module")
def outer() -> Iterator[tuple[str, int]]:
    """Return the address of another nginx that leads to ours."""
    port = free_port()
    with Stack(Path(__file__).parent / "outer_proxy.yml", outer_port=port):
        wait_for("the outer nginx", lambda: is_ready(port))
        yield ("127.0.0.1", port)


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("path", ["/events", "/stock/events"])
def test_events_arrive_at_once_through_default_buffering(
    outer: tuple[str, int], path: str, figure: Callable[[str], None]
) -> None:
    client = asyncio.run(SseClient(outer, path).run(SECONDS))
    assert client.status == 200
    assert_whole(client.events)
    late = lateness_ms(client.events)
    figure(f"{len(late)} live events, p50 {median(late):.1f} ms, max {late[-1]:.1f} ms")
    assert len(late) >= SECONDS - 1
    assert late[-1] <= 250
    # The outer nginx has obeyed the header, and has taken it out as ours would have.
    assert "x-accel-buffering" not in client.response_headers


def test_without_our_header_the_same_proxy_holds_events_back(outer: tuple[str, int]) -> None:
    host, port = outer
    assert httpx.get(f"http://{host}:{port}/blind/readyz").status_code == 200
    client = asyncio.run(SseClient(outer, "/blind/events").run(SECONDS))
    assert client.clean is None
    assert client.events == []

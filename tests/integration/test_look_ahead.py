"""The delay of a chunk in bareASGI, as the README's table gives it."""

import asyncio
import time
from collections.abc import AsyncIterator
from statistics import median

import pytest
from bareasgi import Application, HttpRequest, HttpResponse

from support.clients.sse_client import SseClient
from support.servers.served import Served

TICK_SECONDS = 1.0


def app_that_yields(nudge: bytes | None) -> Application:
    app = Application()

    async def ticks() -> AsyncIterator[bytes]:
        while True:
            yield f"data: {time.time()}\n\n".encode()
            if nudge is not None:
                yield nudge
            await asyncio.sleep(TICK_SECONDS)

    @app.on_http_request({"GET"}, "/events")
    async def _events(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, [(b"content-type", b"text/event-stream")], ticks())

    return app


@pytest.mark.parametrize(
    ("nudge", "delay_seconds", "extra_bytes"),
    [(None, TICK_SECONDS, 0), (b":\n\n\n", 0.0, 4), (b"", 0.0, 0)],
    ids=["nothing", "a comment", "an empty chunk"],
)
def test_bareasgi_holds_a_chunk_until_the_next_one_unless_that_one_follows_at_once(
    nudge: bytes | None, delay_seconds: float, extra_bytes: int
) -> None:
    with Served(app_that_yields(nudge), ours=False) as server:
        client = asyncio.run(SseClient(server.address).run(5.5 * TICK_SECONDS))
    delays = [event.at - float(event.data) for event in client.events]
    print(f"then {nudge!r}: late by {[round(delay, 3) for delay in delays]} s")
    assert len(delays) >= 3
    # The middle one: a machine that is held up for a moment makes one late, not most.
    assert abs(median(delays) - delay_seconds) < 0.4 * TICK_SECONDS
    payload = sum(len(f"data: {event.data}\n\n") for event in client.events)
    assert client.wire_bytes - payload in (
        extra_bytes * len(client.events),
        # The nudge of the last event may not have arrived.
        extra_bytes * (len(client.events) - 1),
    )

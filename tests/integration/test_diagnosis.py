"""The diagnostic endpoint: what it sends, and what it refuses."""

import asyncio
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from barestream.app import create_app
from barestream.mercure.tokens import sign
from barestream.settings.settings import Settings
from support.clients.operator import bearing
from support.clients.publisher import KEY, PATH, token
from support.clients.sse_client import SseClient
from support.servers.served import Served, reading, until
from support.servers.service import PATIENCE_SECONDS, wait_for

DIAGNOSIS = f"{PATH}/diagnosis"
OPERATING = bearing(sign(KEY, "HS256", (), (), None, operate=True))


@pytest.fixture(scope="module", params=[True, False], ids=["direct", "asgi"])
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    settings = Settings(token_key=KEY, heartbeat_seconds=1)
    with Served(create_app(settings), ours=request.param) as served:
        yield served


def client(server: Served, **parameters: object) -> SseClient:
    return SseClient(server.address, f"{DIAGNOSIS}?{urlencode(parameters)}", OPERATING)


def read(server: Served, **parameters: object) -> SseClient:
    """Return a stream that has come to its end."""
    return asyncio.run(client(server, **parameters).run(PATIENCE_SECONDS))


def told(stream: SseClient) -> list[dict[str, Any]]:
    return [json.loads(event.data) for event in stream.events]


def answer(server: Served, headers: dict[str, str], **parameters: object) -> httpx.Response:
    return httpx.get(server.url + DIAGNOSIS, params=parameters, headers=headers)  # type: ignore[arg-type]


def test_each_event_has_its_number_and_says_when_it_was_sent(server: Served) -> None:
    stream = read(server, events=4, pauses_ms="20,80")
    events = told(stream)
    assert [each["number"] for each in events] == [0, 1, 2, 3]
    assert len({each["run"] for each in events}) == 1
    pauses = [after["at"] - before["at"] for before, after in pairwise(events)]
    # A timer may be a little early.
    assert pauses[0] >= 0.07
    assert pauses[1] >= 0.01
    assert {event.type for event in stream.events} == {"barestream.diagnosis"}
    assert {event.id for event in stream.events} == {None}
    assert stream.clean is True
    assert events[0]["heartbeat_seconds"] == 1
    assert events[0]["http_version"] == "1.1"


def test_each_event_has_its_padding(server: Served) -> None:
    events = told(read(server, events=2, padding=4096))
    assert [len(each["padding"]) for each in events] == [4096, 4096]


def test_a_silent_stream_has_heartbeats_only_if_they_are_wanted(server: Served) -> None:
    async def both() -> list[SseClient]:
        streams = [client(server, events=1, silent_seconds=3, heartbeats=each) for each in (1, 0)]
        return await asyncio.gather(*(each.run(PATIENCE_SECONDS) for each in streams))

    with_heartbeats, without = asyncio.run(both())
    assert with_heartbeats.wire_bytes > without.wire_bytes
    assert (with_heartbeats.clean, without.clean) == (True, True)


def test_a_stream_that_is_to_be_cut_has_no_proper_end(server: Served) -> None:
    # Plain ASGI cannot cut a connection.
    assert read(server, events=1, cut=1).clean is not server.is_ours


def test_a_stream_may_be_changed_on_the_way_only_if_that_is_asked_for(server: Served) -> None:
    kept, changed = read(server, events=0), read(server, events=0, transform=1)
    assert "no-transform" in kept.response_headers["cache-control"]
    assert changed.response_headers["cache-control"] == "no-store"


def test_its_streams_count_as_streams(server: Served) -> None:
    def streams() -> float:
        text = httpx.get(f"{server.url}/metrics").text
        return float(text.split("\nbarestream_streams", 1)[1].split("\n")[0].split()[-1])

    before = streams()

    async def main() -> None:
        stream = client(server, events=1, silent_seconds=60)
        async with reading(stream):
            await until(lambda: stream.events)
            assert streams() == before + 1

    asyncio.run(main())
    wait_for("the stream's end", lambda: streams() == before)


def test_a_plain_answer_says_when_the_request_came(server: Served) -> None:
    facts = answer(server, OPERATING, status=200).json()
    assert facts["received_at"] <= facts["at"]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504])
def test_it_answers_a_status_and_closes(server: Served, status: int) -> None:
    given = answer(server, OPERATING, status=status)
    assert given.status_code == status
    assert given.headers["connection"] == "close"


@pytest.mark.parametrize(
    "parameters",
    [
        {"events": 1001},
        {"events": "x"},
        {"events": "9" * 400},
        {"padding": 131_073},
        {"events": 1000, "padding": 65_536},
        {"silent_seconds": 601},
        {"events": 61, "pauses_ms": "10000"},
        {"pauses_ms": ",".join(["1"] * 17)},
        {"pauses_ms": ""},
        {"status": 201},
        {"status": 999},
        {"heartbeats": 2},
    ],
)
def test_what_has_no_bound_is_refused(server: Served, parameters: dict[str, object]) -> None:
    given = answer(server, OPERATING, **parameters)
    assert given.status_code == 400
    assert given.headers["content-type"] == "application/problem+json"


def test_it_echoes_nothing_of_the_request(server: Served) -> None:
    marker = "5eed" * 8
    headers = {**OPERATING, "X-Marker": marker, "Last-Event-ID": marker}
    for parameters in ({"status": 200}, {"status": 502}, {"events": 1}, {"events": marker}):
        given = answer(server, headers, **parameters, nonce=marker)
        assert marker not in given.text + str(given.headers)


def test_only_an_operator_may_ask(server: Served) -> None:
    assert answer(server, {}).status_code == 401
    assert answer(server, bearing(token())).status_code == 403

"""Reads that end, HEAD, and rewinds, as they pass nginx, or as nginx answers them itself."""

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
import pytest

from support.clients.publisher import KEY, PATH, Publisher, token
from support.clients.sse_client import SseClient
from support.servers.served import following, reading, until
from support.servers.service import Service, wait_for

AUTHORIZATION = {"Authorization": f"Bearer {token()}"}
JSON = {"Accept": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ORIGIN = "https://shop.example"


@pytest.fixture(scope="module")
def hub() -> Iterator[Service]:
    with Service(workers=1, token_key=KEY, cors_origins=ORIGIN) as running:
        yield running


@pytest.fixture
def http(hub: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hub.url, headers=AUTHORIZATION) as client:
        yield client


def assert_problem(answer: httpx.Response, status: int, detail: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    if answer.request.method != "HEAD":
        assert answer.json()["status"] == status
        assert detail in answer.json()["detail"]


def assert_told_to_come_back(answer: httpx.Response) -> None:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert re.fullmatch(r"retry: [0-9]{4}\n", answer.text)


def test_a_read_and_head_pass_nginx(http: httpx.Client) -> None:
    http.post(PATH, data={"topic": "a", "data": "1"})
    place = http.post(PATH, data={"topic": "a", "data": "2"}).text
    head = http.head(f"{PATH}?topic=a", headers={"Origin": ORIGIN})
    assert (head.status_code, head.headers["last-event-id"]) == (200, place)
    assert "last-event-id" in head.headers["access-control-expose-headers"]
    answer = http.get(f"{PATH}?topic=a&rewind=2", headers={**JSON, "Origin": ORIGIN})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert [event["data"] for event in answer.json()["events"]] == ["1", "2"]
    assert answer.json()["cursor"] == place
    assert_problem(http.get(f"{PATH}?topic=a&limit=0", headers=JSON), 400, "limit: expected")


def test_a_read_that_waits_passes_nginx_as_soon_as_there_is_an_event(hub: Service) -> None:
    async def main() -> list[str]:
        async with (
            httpx.AsyncClient(base_url=hub.url, headers=JSON, timeout=60) as client,
            following(hub.address, "waited for") as seen,
            Publisher(hub.url) as publisher,
        ):
            waiting = asyncio.create_task(client.get(f"{PATH}?topic=waited%20for&wait=50"))
            await until(lambda: hub.metrics().get("barestream_streams", 0) >= 2)
            await publisher.publish("waited for", data="1")
            await until(lambda: seen.events)
            return [event["data"] for event in (await waiting).json()["events"]]

    assert asyncio.run(main()) == ["1"]


def test_a_rewind_of_topics_passes_nginx_and_so_does_204_at_their_end(
    hub: Service, http: httpx.Client
) -> None:
    for number in range(3):
        http.post(PATH, data={"topic": "run", "data": str(number)})
    http.post(PATH, data={"topic": "run", "data": "end", "end": "true"})
    query = urlencode({"topic": "run", "rewind": "9", "include": "topic,ready"})

    client = asyncio.run(SseClient(hub.address, f"{PATH}?{query}").run())
    assert client.clean
    *run, ready = client.events
    assert [event.data for event in run] == ["0", "1", "2", "end"]
    assert ready.type == "barestream.ready"
    back = http.get(f"{PATH}?{query}", headers={"Last-Event-ID": run[-1].id or ""})
    assert (back.status_code, back.content) == (204, b"")


def test_with_the_app_away_reads_and_head_get_502_and_streams_a_retry_delay() -> None:
    with Service(workers=1, cors_origins=ORIGIN) as service:
        service.end_app()
        with httpx.Client(base_url=service.url, headers={"Origin": ORIGIN}) as client:
            url = f"{PATH}?topic=a&rewind=5"
            for answer in (
                client.get(url, headers=JSON),
                client.get(url, headers={"Accept": "application/json; q=0.9, */*"}),
                client.request("QUERY", PATH, content="match=a", headers={**JSON, **FORM}),
                client.head("/events"),
                client.head(url),
                client.head(url, headers=JSON),
                client.head(url, headers={"Accept": "text/event-stream"}),
            ):
                assert_problem(answer, 502, "The app does not answer")
                assert answer.headers["access-control-allow-origin"] == ORIGIN
            for accept in (
                "text/event-stream",
                "*/*",
                "application/json, text/event-stream",
                "text/event-stream, application/json",
            ):
                headers = {"Accept": accept}
                assert_told_to_come_back(client.get(url, headers=headers))
                query = client.request(
                    "QUERY", PATH, content="match=a", headers={**headers, **FORM}
                )
                assert_told_to_come_back(query)


def test_above_the_limit_of_an_address_reads_and_head_get_429_and_streams_a_retry_delay() -> None:
    with Service(workers=1, streams_per_address=2, cors_origins=ORIGIN) as service:

        async def main() -> None:
            clients = [SseClient(service.address, f"{PATH}?topic=a") for _ in range(2)]
            async with (
                reading(*clients),
                httpx.AsyncClient(base_url=service.url, headers={"Origin": ORIGIN}) as http,
            ):
                url = f"{PATH}?topic=a"
                form = {**JSON, **FORM}
                for answer in (
                    await http.get(url, headers=JSON),
                    await http.get(f"{url}&wait=9", headers=JSON),
                    await http.request("QUERY", PATH, content="match=a", headers=form),
                    await http.head(url),
                    await http.head("/events"),
                ):
                    assert_problem(
                        answer, 429, "This address has 2 streams, as many as BARESTREAM_"
                    )
                    assert answer.headers["retry-after"] == "1"
                    assert answer.headers["access-control-allow-origin"] == ORIGIN
                    exposed = answer.headers["access-control-expose-headers"]
                    assert exposed == "retry-after, barestream-turned-away"
                turned_away = await http.get(url)
                assert_told_to_come_back(turned_away)
                assert "2 streams" in turned_away.headers["barestream-turned-away"]
                # A publish has a limit of its own.
                assert (await http.post(PATH, data={"topic": "a"})).status_code == 403

        asyncio.run(main())
        with httpx.Client(base_url=service.url) as http:
            wait_for("room", lambda: http.head(f"{PATH}?topic=a").status_code == 200)
            assert http.get(f"{PATH}?topic=a", headers=JSON).status_code == 200
        assert service.complaints() == []


def test_a_worker_that_is_full_refuses_a_read_and_tells_a_stream_to_come_back() -> None:
    with Service(workers=1, streams_per_worker=1) as service:

        async def main() -> None:
            client = SseClient(service.address, f"{PATH}?topic=a")
            async with reading(client), httpx.AsyncClient(base_url=service.url) as http:
                await until(lambda: client.retries_ms)
                refused = await http.get(f"{PATH}?topic=a", headers=JSON)
                assert_problem(refused, 503, "BARESTREAM_STREAMS_PER_WORKER")
                assert refused.headers["retry-after"] == "1"
                assert (await http.head(f"{PATH}?topic=a")).status_code == 200
                stream = await http.get(f"{PATH}?topic=a")
                assert stream.status_code == 200
                assert stream.text.startswith("retry: ")

        asyncio.run(main())

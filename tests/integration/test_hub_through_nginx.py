"""The hub behind nginx: the headers, limits and answers that nginx adds or passes on."""

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from support.clients.publisher import KEY, PATH, Publisher, token
from support.clients.sse_client import SseClient
from support.servers.served import following, reading, until
from support.servers.service import PATIENCE_SECONDS, Service, wait_for, whole_lines

AUTHORIZATION = {"Authorization": f"Bearer {token()}"}
PAGE, FOREIGN = "https://shop.example", "https://evil.example"
FORM = "application/x-www-form-urlencoded"
MOST_DATA_BYTES = 512_000


@pytest.fixture(scope="module")
def hub() -> Iterator[Service]:
    with Service(workers=1, token_key=KEY, cors_origins=f"{PAGE},http://localhost:3000") as running:
        yield running


def assert_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_an_update_passes_nginx_at_once_and_a_client_resumes_from_it(hub: Service) -> None:
    async def act() -> None:
        async with (
            following(hub.address, "a/{id}") as live,
            Publisher(hub.url) as publisher,
        ):
            first = await publisher.publish("a/1", data="1")
            await until(lambda: live.events)
            await publisher.publish("a/2", data="2")
            async with following(hub.address, "a/{id}", lastEventID=first) as resumed:
                await until(lambda: resumed.events)
            assert resumed.response_headers["last-event-id"] == first
            assert [event.data for event in resumed.events] == ["2"]

    asyncio.run(act())


def test_the_largest_update_that_the_app_accepts_passes_nginx(hub: Service) -> None:
    # Each byte takes three, percent-encoded: the largest form that a publisher may send.
    largest = b"topic=large&data=" + b"%7E" * MOST_DATA_BYTES
    headers = {**AUTHORIZATION, "Content-Type": FORM}
    taken = httpx.post(hub.url + PATH, content=largest, headers=headers, timeout=30)
    assert taken.status_code == 200
    over = httpx.post(hub.url + PATH, content=largest + b"%7E", headers=headers, timeout=30)
    assert_problem(over, 413)
    far_over = httpx.post(hub.url + PATH, content=b"x" * 2_000_000, headers=headers, timeout=30)
    assert_problem(far_over, 413)


def test_the_largest_json_that_the_app_accepts_passes_nginx(hub: Service) -> None:
    # JSON that is ASCII alone takes six bytes for two.
    largest = b'{"topic":"large","data":"%b"}' % (b"\\u00e9" * (MOST_DATA_BYTES // 2))
    headers = {**AUTHORIZATION, "Content-Type": "application/json"}
    taken = httpx.post(hub.url + PATH, content=largest, headers=headers, timeout=30)
    assert taken.status_code == 200
    assert [*taken.json()] == ["ids"]


def test_the_refusals_of_an_ended_topic_and_of_a_kept_value_pass_nginx() -> None:
    with (
        Service(workers=1, token_key=KEY, kept_values=0) as service,
        httpx.Client(base_url=service.url, headers=AUTHORIZATION) as client,
    ):
        assert client.post(PATH, data={"topic": "run/1", "end": "true"}).status_code == 200
        ended = client.post(PATH, data={"topic": "run/1"})
        assert_problem(ended, 409)
        assert "The topic run/1 has ended." in ended.json()["detail"]
        full = client.post(PATH, data={"topic": "b", "keep": "forever"})
        assert_problem(full, 507)
        assert "BARESTREAM_KEPT_VALUES" in full.json()["detail"]


def test_a_stream_that_is_asked_for_by_query_passes_nginx(hub: Service) -> None:
    async def act() -> list[str]:
        client = SseClient(hub.address, PATH, method="QUERY", form="match_urlpattern=/rooms/:id")
        async with reading(client), Publisher(hub.url) as publisher:
            assert client.status == 200
            await publisher.publish("/rooms/1", data="1")
            await until(lambda: client.events)
        return [event.data for event in client.events]

    assert asyncio.run(act()) == ["1"]


def test_the_cors_headers_of_the_app_pass_nginx_once(hub: Service) -> None:
    with httpx.Client(base_url=hub.url, headers=AUTHORIZATION) as client:
        for answer in (
            client.post(PATH, data={"topic": "a"}, headers={"Origin": PAGE}),
            client.post(PATH, data={}, headers={"Origin": PAGE}),
            client.get(PATH, headers={"Origin": PAGE}),
            client.head(f"{PATH}?topic=a", headers={"Origin": PAGE}),
            client.options(PATH, headers={"Origin": PAGE}),
        ):
            assert answer.headers.get_list("access-control-allow-origin") == [PAGE]
            assert answer.headers.get_list("access-control-allow-credentials") == ["true"]
        foreign = client.post(PATH, data={"topic": "a"}, headers={"Origin": FOREIGN})
        assert "access-control-allow-origin" not in foreign.headers


def test_the_pages_name_the_hub(hub: Service) -> None:
    for path in ("/", "/test"):
        assert httpx.get(hub.url + path).headers["link"] == f'<{PATH[1:]}>; rel="mercure"'


def test_the_metrics_socket_serves_only_the_metrics(hub: Service) -> None:
    transport = httpx.HTTPTransport(uds=str(hub.folder / "sockets/metrics.sock"))
    with httpx.Client(transport=transport, base_url="http://inside") as inside:
        assert inside.get("/").status_code == 404
        assert inside.get(PATH, params={"topic": "a"}).status_code == 404
        answer = inside.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_the_metrics_are_served_only_on_their_socket(hub: Service) -> None:
    for path in ("/metrics", "//metrics", "/x/../metrics", "/%6detrics", "/metrics?x"):
        answer = httpx.get(hub.url + path)
        assert_problem(answer, 404)
        assert "barestream_" not in answer.text

    async def act() -> dict[str, float]:
        async with following(hub.address, "figures") as client, Publisher(hub.url) as publisher:
            await publisher.publish("figures")
            await until(lambda: client.events)
            return hub.metrics()

    # The streams of the tests before have to end first.
    wait_for("the end of all streams", lambda: not hub.metrics().get("barestream_streams"))
    before, during = hub.metrics(), asyncio.run(act())
    for name, more in {
        "barestream_streams": 1,
        "barestream_updates_published_total": 1,
        "barestream_events_delivered_total": 1,
        "barestream_delivery_lag_seconds_count": 1,
    }.items():
        assert during[name] - before.get(name, 0) == more
    assert during["barestream_history_up"] == 1
    ended = 'barestream_streams_ended_total{reason="client left"}'
    wait_for("the end", lambda: hub.metrics().get(ended, 0) > before.get(ended, 0))


def test_publishes_above_the_rate_are_answered_with_retry_after() -> None:
    with Service(workers=1, token_key=KEY, publish_rate=2) as service:
        with httpx.Client(base_url=service.url, headers=AUTHORIZATION) as client:
            answers = [client.post(PATH, data={"topic": "a"}) for _ in range(12)]
            statuses = [answer.status_code for answer in answers]
            # One publish, and a burst of as many as the rate allows a second.
            assert statuses[:3] == [200, 200, 200]
            assert set(statuses[3:]) <= {200, 429}
            refused = answers[statuses.index(429)]
            assert_problem(refused, 429)
            assert refused.json()["detail"]
            assert refused.headers["retry-after"] == "1"
            # Streams and other paths are not limited by it.
            assert client.head(f"{PATH}?topic=a").status_code == 200
            assert client.post("/nope").status_code == 404
            wait_for(
                "room for one", lambda: client.post(PATH, data={"topic": "a"}).status_code == 200
            )
        published = service.metrics()["barestream_updates_published_total"]
        assert published == statuses.count(200) + 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_requests_for_runs_that_write_count_as_publishes(method: str) -> None:
    with (
        Service(workers=1, token_key=KEY, publish_rate=2) as service,
        httpx.Client(base_url=service.url, headers=AUTHORIZATION) as client,
    ):

        def ask(method: str) -> httpx.Response:
            return client.request(method, f"{PATH}/runs", params={"key": "unknown"})

        answers = [ask(method) for _ in range(12)]
        statuses = [answer.status_code for answer in answers]
        unlimited = 415 if method == "POST" else 404
        assert statuses[:3] == [unlimited] * 3
        assert set(statuses[3:]) <= {unlimited, 429}
        refused = answers[statuses.index(429)]
        assert_problem(refused, 429)
        assert refused.headers["retry-after"] == "1"
        # Who only reads is not limited by it.
        assert [ask("GET").status_code for _ in range(12)] == [404] * 12


def test_too_many_publishes_of_an_address_at_once_are_answered_with_retry_after(
    hub: Service,
) -> None:
    # nginx asks for the form of a publish after it has counted it.
    head = [f"POST {PATH} HTTP/1.1", "Host: x", f"Content-Type: {FORM}", "Content-Length: 7"]
    head += [f"Authorization: Bearer {token()}", "Expect: 100-continue", "", ""]
    with ExitStack() as waiting:
        publishes = [
            waiting.enter_context(socket.create_connection(hub.address, timeout=PATIENCE_SECONDS))
            for _ in range(64)
        ]
        for connection in publishes:
            connection.sendall("\r\n".join(head).encode())
        for connection in publishes:
            assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        answer = httpx.post(hub.url + PATH, headers=AUTHORIZATION, data={"topic": "a"})
        assert_problem(answer, 429)
        assert answer.headers["retry-after"] == "1"
        assert httpx.head(f"{hub.url}{PATH}?topic=a").status_code == 200
        for connection in publishes:
            connection.sendall(b"topic=a")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def retry_answer(service: Service, origin: str | None, **headers: str) -> httpx.Response:
    sent = {**headers, **({"Origin": origin} if origin else {})}
    answer = httpx.get(f"{service.url}{PATH}?topic=a", headers=sent)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert re.fullmatch(r"retry: [0-9]{4}\n", answer.text)
    assert answer.headers["cache-control"] == "no-store, no-transform"
    return answer


def test_with_the_app_away_a_publish_fails_and_a_stream_gets_a_retry_delay() -> None:
    origins = (PAGE, "capacitor://localhost", "http://[::1]:3000", "http://my_host:3000")
    with Service(workers=1, token_key=KEY, cors_origins=",".join(origins)) as service:
        for origin in origins:
            answer = httpx.get(f"{service.url}{PATH}", headers={"Origin": origin})
            assert answer.headers["access-control-allow-origin"] == origin
        service.end_app()
        with httpx.Client(base_url=service.url, headers=AUTHORIZATION) as client:
            for headers in ({}, {"Accept": "text/event-stream"}, {"Origin": PAGE}):
                publish = client.post(PATH, data={"topic": "a"}, headers=headers)
                assert_problem(publish, 502)
                assert publish.json()["detail"]
            assert client.head(f"{PATH}?topic=a").status_code == 502
            assert_problem(client.options(PATH), 502)
        for origin in origins:
            allowed = retry_answer(service, origin).headers
            assert allowed["access-control-allow-origin"] == origin
            assert allowed["access-control-allow-credentials"] == "true"
        for origin in (None, FOREIGN, "null", PAGE + ".evil.example"):
            for name in ("access-control-allow-origin", "access-control-allow-credentials"):
                assert name not in retry_answer(service, origin).headers
        service.start_app()

        async def act() -> None:
            async with (
                following(service.address, "a") as client,
                Publisher(service.url) as publisher,
            ):
                await publisher.publish("a", data="again")
                await until(lambda: client.events)

        asyncio.run(act())


def test_where_any_origin_is_allowed_the_answer_of_nginx_in_the_apps_place_says_so_too() -> None:
    with Service(workers=1, token_key=KEY, cors_origins="*") as service:
        service.end_app()
        for origin in (PAGE, FOREIGN, "null"):
            headers = retry_answer(service, origin).headers
            assert headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in headers


def test_a_publisher_that_leaves_halfway_causes_no_error(hub: Service) -> None:
    body = b"topic=left&data=" + b"x" * 500_000
    head = [f"POST {PATH} HTTP/1.1", "Host: x", f"Content-Type: {FORM}"]
    head += [f"Content-Length: {len(body)}", f"Authorization: Bearer {token()}"]
    head.append("User-Agent: leaves in the middle")

    def logged() -> int:
        names = [line["user_agent"] for line in hub.nginx_log()]
        return names.count("leaves in the middle")

    for sent in (len(body), len(body) - 1, 100_000, 0):
        for _ in range(5):
            with socket.create_connection(hub.address, timeout=5) as connection:
                connection.sendall("\r\n".join([*head, "", ""]).encode() + body[:sent])
    wait_for("nginx's lines about them", lambda: logged() == 20)
    assert hub.complaints() == []


def test_each_line_of_the_log_of_nginx_is_complete_even_with_the_app_away() -> None:
    with Service(workers=1) as service:
        asyncio.run(SseClient(service.address).read_until(lambda client: client.events))
        service.end_app()
        log = service.folder / "nginx.log"
        for number in range(20):
            httpx.get(f"{service.url}/asked-{number}")
        wait_for(
            "a line for each",
            lambda: sum('"/asked-' in line for line in whole_lines(log)) == 20,
        )
        lines = whole_lines(log)
    paths = []
    for line in lines:
        if not re.match("[0-9]{4}/[0-9]{2}/[0-9]{2} ", line):
            assert line.startswith("{"), line
            paths.append(json.loads(line)["path"])
    # Two workers of nginx may write their lines in another order than that of their answers.
    assert sorted(path for path in paths if path.startswith("/asked")) == sorted(
        f"/asked-{number}" for number in range(20)
    )

"""The requests that a publisher may send, and their answers."""

import asyncio
import re
import resource
import socket
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr

from barestream.app import create_app
from barestream.settings.settings import Settings
from support.clients.publisher import KEY, PATH, Publisher, token
from support.clients.sse_client import Received
from support.servers.served import Served, following, until
from support.servers.service import free_port, wait_for
from support.servers.valkey_server import ValkeyServer

FORM = "application/x-www-form-urlencoded"
ACCEPTED = f"Expected the Content-Type {FORM} or application/json."
DATA_BYTES = 1000
BODY_BYTES = 3 * DATA_BYTES + 65536
AUTHORIZATION = {"Authorization": f"Bearer {token()}"}


@pytest.fixture(scope="module", params=[True, False], ids=["direct", "asgi"])
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    settings = Settings(token_key=KEY, data_bytes=DATA_BYTES, topics_per_event=3)
    with Served(create_app(settings), ours=request.param) as served:
        yield served


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=AUTHORIZATION) as client:
        yield client


def assert_problem(answer: httpx.Response, status: int, detail: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"] == HTTPStatus(status).phrase
    assert detail in problem["detail"]


def received(server: Served, *topics: str, posts: list[list[tuple[str, str]]]) -> list[Received]:
    """Post forms that must be accepted, and return the events that a reader of the topics gets."""

    async def act() -> list[Received]:
        async with (
            following(server.address, *topics, headers=AUTHORIZATION) as reader,
            Publisher(server.url) as publisher,
            httpx.AsyncClient(base_url=server.url, headers=AUTHORIZATION) as client,
        ):
            for post in posts:
                answer = await client.post(PATH, content=urlencode(post), headers=CONTENT_TYPE)
                assert answer.status_code == 200, answer.text
            await publisher.publish(topics[0], data="the last one")
            await until(lambda: reader.events and reader.events[-1].data == "the last one")
            return reader.events[:-1]

    return asyncio.run(act())


CONTENT_TYPE = {"Content-Type": FORM}
TOPIC = ("topic", "t")

REFUSED = [
    ([], 400, "at least one topic"),
    ([("topic", "")], 400, "at least one topic"),
    ([("topic", "t"), ("topic", "")], 400, "no empty one"),
    ([("data", "x")], 400, "at least one topic"),
    ([("Topic", "t")], 400, "at least one topic"),
    ([("topic", name) for name in "abcd"], 413, "4 topics; at most 3 are allowed"),
    ([("topic", "t" * 2049)], 413, "longer than 2048"),
    ([("topic", "*")], 400, "stands for every topic"),
    ([TOPIC, ("topic", "a\u200bb")], 400, "character U+200B"),
    *(
        ([TOPIC, ("topic", topic)], 400, "reserved for the hub")
        for topic in ("/.well-known/%6Dercure/x", "/a/../.well-known/mercure", "mercure", "#a")
    ),
    ([TOPIC, ("id", "#1-0")], 400, "starts with #"),
    ([TOPIC, ("id", "#")], 400, "starts with #"),
    ([TOPIC, ("id", "earliest")], 400, "reserved"),
    ([TOPIC, ("id", "i" * 256)], 413, "longer than 255"),
    ([TOPIC, ("id", "é")], 400, "ASCII"),
    ([TOPIC, ("id", " i")], 400, "space at either end"),
    ([TOPIC, ("id", "i ")], 400, "space at either end"),
    ([TOPIC, ("id", " ")], 400, "space at either end"),
    *(([TOPIC, ("id", f"a{end}b")], 400, "id: expected") for end in "\r\n\0\t\x7f"),
    *(([TOPIC, ("id", f"a{end}")], 400, "id: expected") for end in "\r\n\0"),
    *(([TOPIC, ("type", f"a{end}b")], 400, "type has the control") for end in "\r\n\0\x7f\u202e"),
    ([TOPIC, ("type", "mercure")], 400, "reserved for the hub"),
    ([TOPIC, ("data", "a\0")], 400, "data contains NUL"),
    ([TOPIC, ("type", "barestream.gap")], 400, "reserved for the hub"),
    ([TOPIC, ("type", "barestream.")], 400, "reserved for the hub"),
    ([TOPIC, ("type", "y" * 256)], 413, "longer than 255"),
    *(([TOPIC, (name, "1"), (name, "1")], 400, "2 fields") for name in ("data", "id", "type")),
    ([TOPIC, ("retry", "1"), ("retry", "1")], 400, "2 fields"),
    *(
        ([TOPIC, ("retry", retry)], 400, "retry: expected")
        for retry in (
            "x",
            "-1",
            "+1",
            "1.5",
            "1e3",
            " 1",
            "1_0",
            "86400001",
            "9" * 5000,
            "\u0661",
            "1\n",
        )
    ),
    ([TOPIC, ("data", "x" * (DATA_BYTES + 1))], 413, f"larger than {DATA_BYTES}"),
    # A limit of bytes, not of characters.
    ([TOPIC, ("data", "é" * (DATA_BYTES // 2 + 1))], 413, f"larger than {DATA_BYTES}"),
    # Bytes on the wire, where each line begins with "data: ".
    ([TOPIC, ("data", "\n" * (DATA_BYTES // 7 + 1))], 413, f"larger than {DATA_BYTES}"),
    ([TOPIC, ("data", "\r" * (DATA_BYTES // 7 + 1))], 413, "each line end counts as 7 bytes"),
    ([TOPIC, ("junk", "x" * BODY_BYTES)], 413, f"larger than {BODY_BYTES}"),
    ([TOPIC, *([("x", "")] * 1000)], 400, "more than 1000 fields"),
]


@pytest.mark.parametrize(
    ("form", "status", "detail"), REFUSED, ids=[str(number) for number in range(len(REFUSED))]
)
def test_a_refused_form_is_answered_with_the_reason(
    http: httpx.Client, form: list[tuple[str, str]], status: int, detail: str
) -> None:
    answer = http.post(PATH, content=urlencode(form), headers=CONTENT_TYPE)
    assert_problem(answer, status, detail)


@pytest.mark.parametrize(
    "body", [b"topic=t&data=%ff", b"topic=t&data=\xff", b"topic=%ed%a0%80", b"\xfe=1&topic=t"]
)
def test_a_form_that_is_not_utf_8_is_refused(http: httpx.Client, body: bytes) -> None:
    assert_problem(http.post(PATH, content=body, headers=CONTENT_TYPE), 400, "not UTF-8")


@pytest.mark.parametrize(
    "kind",
    [
        *(None, "", "multipart/form-data; boundary=x", f"{FORM}x", "text"),
        *("application/jsonx", "application/ld+json", "text/json"),
    ],
)
def test_a_body_of_another_type_is_refused_with_the_accepted_types(
    http: httpx.Client, kind: str | None
) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    assert_problem(http.post(PATH, content=b"topic=t", headers=headers), 415, ACCEPTED)


def test_no_refused_update_is_ever_sent() -> None:
    settings = Settings(token_key=KEY, data_bytes=DATA_BYTES, topics_per_event=3)
    with Served(create_app(settings), ours=True) as server:
        with httpx.Client(base_url=server.url, headers=AUTHORIZATION) as http:
            for form, status, _ in REFUSED:
                answer = http.post(PATH, content=urlencode(form), headers=CONTENT_TYPE)
                assert answer.status_code == status

        async def act() -> list[str]:
            async with (
                following(
                    server.address, "*", headers=AUTHORIZATION, lastEventID="earliest"
                ) as reader,
                Publisher(server.url) as publisher,
            ):
                await publisher.publish("t", data="taken")
                await until(lambda: reader.events)
                return [event.data for event in reader.events]

        assert asyncio.run(act()) == ["taken"]


@pytest.mark.parametrize("kind", [FORM, f"{FORM}; charset=utf-8", FORM.upper(), f"{FORM} ;x=y"])
def test_a_form_is_accepted_with_any_spelling_of_its_type(http: httpx.Client, kind: str) -> None:
    answer = http.post(PATH, content=b"topic=t", headers={"Content-Type": kind})
    assert answer.status_code == 200


def test_the_answer_is_the_id_of_the_event(http: httpx.Client) -> None:
    own = http.post(PATH, data={"topic": "t", "id": "urn:uuid:1 2"})
    assert (own.status_code, own.text) == (200, "urn:uuid:1 2")
    assert own.headers["content-type"] == "text/plain; charset=utf-8"
    assert own.headers["content-length"] == str(len(own.text))
    given = http.post(PATH, data={"topic": "t", "id": ""})
    assert re.fullmatch("#[0-9]+-[0-9]+", given.text)
    assert given.text != http.post(PATH, data={"topic": "t"}).text


def test_an_event_arrives_as_it_was_published(server: Served) -> None:
    async def act() -> None:
        async with (
            following(server.address, "t") as reader,
            Publisher(server.url) as publisher,
        ):
            first = await publisher.publish("t", data="1\r\n2\r3\n", type="größer", retry="1234")
            assert await publisher.publish("t", data=" é\u2028", id="own") == "own"
            bare = await publisher.publish("t", retry="0")
            await until(lambda: len(reader.events) == 3)
        told = [(event.id, event.type, event.data) for event in reader.events]
        assert told == [
            (first, "größer", "1\n2\n3\n"),
            ("own", "message", " é\u2028"),
            (bare, "message", ""),
        ]
        # The stream's own, and the publisher's; none for its 0, which browsers take for "at once".
        assert reader.retries_ms[1:] == [1234]

    asyncio.run(act())


@pytest.mark.parametrize(
    "form",
    [
        [("topic", name) for name in "tuv"],
        [("topic", "t")] * 10,
        [TOPIC, ("id", "a" * 255)],
        [TOPIC, ("id", "a")],
        [TOPIC, ("id", "!~ ~!")],
        [TOPIC, ("type", "é" * 255)],
        [TOPIC, ("retry", "86400000")],
        [TOPIC, ("retry", "0086400000"[1:])],
        [TOPIC, ("data", "x" * DATA_BYTES)],
        [TOPIC, ("data", "é" * (DATA_BYTES // 2))],
        [TOPIC, ("data", "\n" * (DATA_BYTES // 7))],
        [("topic", "t" * 2048), TOPIC],
        [TOPIC, *([("x", "")] * 999)],
        [TOPIC, ("junk", "x" * (BODY_BYTES - len("topic=t&junk=")))],
    ],
    ids=[str(number) for number in range(14)],
)
def test_an_update_just_within_the_limits_is_accepted(
    server: Served, form: list[tuple[str, str]]
) -> None:
    [event] = received(server, "t", posts=[form])
    assert event.data == dict(form).get("data", "")


def test_an_update_that_is_sent_again_under_its_id_is_kept_once(server: Served) -> None:
    update = [TOPIC, ("id", "again"), ("data", "x"), ("type", "y"), ("private", "")]
    assert [event.id for event in received(server, "t", posts=[update] * 3)] == ["again"]


@pytest.mark.parametrize(
    "change",
    [
        [("topic", "t"), ("data", "other")],
        [("topic", "u"), ("data", "x")],
        [("topic", "t"), ("topic", "u"), ("data", "x")],
        [("topic", "t"), ("data", "x"), ("private", "on")],
        [("topic", "t"), ("data", "x"), ("type", "y")],
        [("topic", "t"), ("data", "x"), ("retry", "7")],
    ],
)
def test_other_content_under_a_known_id_is_a_new_event(
    server: Served, change: list[tuple[str, str]]
) -> None:
    first = [TOPIC, ("data", "x"), ("id", "known")]
    other = [*change, ("id", "known")]
    events = received(server, "t", "u", posts=[first, first, other, other])
    assert [event.id for event in events] == ["known", "known"]
    assert events[1].data == dict(change)["data"]


def test_a_client_resumes_after_the_earliest_event_of_its_id(server: Served) -> None:
    async def act() -> list[str]:
        async with Publisher(server.url) as publisher:
            before = await publisher.publish("t", data="before")
            for data in ("first", "second"):
                await publisher.publish("t", data=data, id="of two")
            async with following(server.address, "t", headers={"Last-Event-ID": before}) as all_new:
                await until(lambda: len(all_new.events) == 2)
            [first, _] = all_new.events
            async with following(server.address, "t", headers={"Last-Event-ID": first.id}) as back:
                await until(lambda: back.events)
            return [event.data for event in back.events]

    assert asyncio.run(act()) == ["second"]


@pytest.mark.parametrize("value", ["on", "", "off", "0", "false"])
def test_private_makes_an_update_private_whatever_its_value(server: Served, value: str) -> None:
    async def act() -> None:
        async with (
            following(server.address, "t") as anonymous,
            following(server.address, "t", headers=AUTHORIZATION) as reader,
            Publisher(server.url) as publisher,
        ):
            await publisher.publish("t", data="tried", private=value)
            await publisher.publish("t", data="later")
            await until(lambda: anonymous.events and len(reader.events) == 2)
        assert [event.data for event in anonymous.events] == ["later"]
        assert [event.data for event in reader.events] == ["tried", "later"]

    asyncio.run(act())


def test_an_update_is_sent_to_each_subscriber_that_wants_one_of_its_topics(server: Served) -> None:
    async def act() -> None:
        async with (
            following(server.address, "t") as canonical,
            following(server.address, "u") as alternate,
            following(server.address, "v") as neither,
            Publisher(server.url) as publisher,
        ):
            await publisher.publish("t", "u", data="both")
            await publisher.publish("t", "u", "v", data="later")
            clients = (canonical, alternate, neither)
            await until(lambda: all(c.events and c.events[-1].data == "later" for c in clients))
        assert [[event.data for event in client.events] for client in clients] == [
            ["both", "later"],
            ["both", "later"],
            ["later"],
        ]

    asyncio.run(act())


def test_without_a_key_every_publish_is_refused() -> None:
    with Served(create_app(Settings()), ours=True) as server:
        answer = httpx.post(server.url + PATH, data={"topic": "t"}, headers=AUTHORIZATION)
    assert_problem(answer, 403, "BARESTREAM_TOKEN_KEY")


def test_without_valkey_a_publish_is_answered_with_retry_after() -> None:
    away = f"redis://127.0.0.1:{free_port()}"
    with Served(create_app(Settings(token_key=KEY, broker_url=away)), ours=True) as server:
        answer = httpx.post(server.url + PATH, data={"topic": "t"}, headers=AUTHORIZATION)
        assert_problem(httpx.get(f"{server.url}/readyz"), 503, "cannot be reached")
    assert_problem(answer, 503, "cannot be reached. Nothing was accepted")
    assert answer.headers["retry-after"] == "1"


def served_on(valkey: ValkeyServer) -> Served:
    """Return a server that keeps its history there."""
    settings = Settings(
        token_key=KEY, broker_url=valkey.url, broker_password=SecretStr(valkey.password)
    )
    return Served(create_app(settings), ours=True)


def test_a_valkey_that_stands_still_leaves_the_fate_of_an_update_open() -> None:
    with ValkeyServer() as valkey, served_on(valkey) as server:
        wait_for("the history", lambda: httpx.get(f"{server.url}/readyz").status_code == 200)
        valkey.pause()
        answer = httpx.post(
            server.url + PATH, data={"topic": "t"}, headers=AUTHORIZATION, timeout=30
        )
        valkey.resume()
    assert_problem(answer, 503, "may or may not have been accepted")
    assert answer.headers["retry-after"] == "1"


def test_a_refusing_valkey_is_reported_to_publishers_and_probes_until_it_accepts_updates(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def readiness() -> str:
        return httpx.get(f"{server.url}/readyz").text

    def publish() -> httpx.Response:
        return httpx.post(server.url + PATH, data={"topic": "t"}, headers=AUTHORIZATION)

    with ValkeyServer() as valkey, served_on(valkey) as server:
        wait_for("the log", lambda: readiness() == "ok\n")
        valkey.ask("REPLICAOF", "127.0.0.1", "1")
        # No update has been published yet.
        wait_for("a probe", lambda: "a read-only replica" in readiness())
        assert "barestream_history_writable 0.0" in httpx.get(f"{server.url}/metrics").text
        for _ in range(60):
            answer = publish()
            assert_problem(answer, 503, "a read-only replica. The update was not accepted")
            assert answer.headers["retry-after"] == "1"
        counted = 'barestream_publishes_failed_total{cause="READONLY"} 60.0'
        assert counted in httpx.get(f"{server.url}/metrics").text
        valkey.ask("REPLICAOF", "NO", "ONE")
        wait_for("a probe", lambda: readiness() == "ok\n")
        assert publish().status_code == 200
    causes = [
        vars(record).get("cause")
        for record in caplog.records
        if record.message == "broker does not accept updates"
    ]
    assert causes == ["READONLY"]


def test_a_form_may_be_sent_in_chunks(http: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"topic=t&id="
        yield b"chunked"

    assert http.post(PATH, content=chunks(), headers=CONTENT_TYPE).text == "chunked"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PATH, {"Authorization": "Bearer x"}, 401),
        (PATH, {}, 413),
        (PATH, {"Content-Type": "text/plain"}, 415),
        ("/nope", {}, 404),
        ("/events", {}, 405),
    ],
)
def test_a_refused_body_is_not_kept_in_memory(
    server: Served, http: httpx.Client, path: str, headers: dict[str, str], status: int
) -> None:
    piece = b"x" * 1_000_000
    held_bytes = [resident_bytes()]
    pieces = (piece for _ in range(100))
    try:
        answer = http.post(path, content=pieces, headers={**CONTENT_TYPE, **headers})
    except httpx.RemoteProtocolError:
        # uvicorn's protocol closes a connection with unread bytes. The kernel then resets it, and
        # may drop the answer.
        assert not server.is_ours
    else:
        assert_problem(answer, status, "")
    held_bytes.append(resident_bytes())
    assert held_bytes[1] - held_bytes[0] < 30_000_000
    assert http.post(PATH, data={"topic": "t"}).status_code == 200


def resident_bytes() -> int:
    """Return the memory of this process, which the server runs in."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_publisher_that_expects_100_continue_gets_it(server: Served) -> None:
    head = [
        f"POST {PATH} HTTP/1.1",
        "Host: x",
        f"Content-Type: {FORM}",
        "Content-Length: 7",
        "Expect: 100-continue",
        f"Authorization: Bearer {token()}",
        "Connection: close",
    ]
    with socket.create_connection(server.address, timeout=5) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"topic=t")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("path", "sent"),
    [(PATH, b""), (PATH, b"topic="), ("/nope", b"x"), ("/events", b"x")],
    ids=["before its form", "within its form", "where nothing is", "with a wrong method"],
)
def test_a_publisher_that_leaves_halfway_causes_no_error(
    server: Served, caplog: pytest.LogCaptureFixture, path: str, sent: bytes
) -> None:
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {FORM}", "Content-Length: 100"]
    head.append(f"Authorization: Bearer {token()}")

    async def leave() -> None:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write("\r\n".join([*head, "", ""]).encode() + sent)
        answered = asyncio.create_task(reader.read(1))
        # It has read the request: it waits for the rest of the form, or has refused it already.
        await until(lambda: server.is_answering or answered.done())
        answered.cancel()
        writer.close()
        await until(lambda: server.is_idle)

    asyncio.run(leave())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_publisher_whose_body_is_refused_as_it_begins_is_not_asked_for_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    head = [
        f"POST {PATH} HTTP/1.1",
        "Host: x",
        f"Content-Type: {FORM}",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        f"Authorization: Bearer {token()}",
    ]
    with Served(create_app(Settings(token_key=KEY)), ours=True) as server:
        with socket.create_connection(server.address, timeout=5) as connection:
            # The head, and what is no size of a chunk.
            connection.sendall("\r\n".join([*head, "", "no size\r\n"]).encode())
            answer = connection.recv(1 << 16)
            assert answer.startswith(b"HTTP/1.1 400 ")
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b""
        wait_for("the end of the request", lambda: server.is_idle)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []

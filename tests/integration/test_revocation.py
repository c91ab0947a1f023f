"""Revoked tokens: which they are, and what the hub refuses them, by HTTP."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from barestream.mercure.tokens import sign
from hub_in_use import JSON, Hub, Serving, serve
from support.clients.operator import (
    REVOCATIONS,
    Operator,
    bearing,
    claiming,
    claiming_1,
    detailed,
    sha256,
)
from support.clients.publisher import ISSUER, KEY, PATH
from support.clients.sse_client import SseClient
from support.clients.streamed_publisher import StreamedPublish, line
from support.servers.served import reading, until
from support.servers.service import PATIENCE_SECONDS

NOW = int(time.time())
PARAMETER = {claiming: "topic", claiming_1: "match"}


@pytest.fixture(params=["direct", "valkey"])
def serving(request: pytest.FixtureRequest) -> Serving:
    """Return what serves a hub: another server than ours may cut a refused client that sends."""
    kind: str = request.param
    valkey = request.getfixturevalue("_valkey") if kind == "valkey" else None
    return partial(serve, kind, valkey)


@pytest.fixture
def operator(hub: Hub) -> Iterator[Operator]:
    found = Operator(hub.url)
    yield found
    found.close()


@dataclass
class Case:
    """What is revoked, and tokens that fall under it, and tokens that do not."""

    revoked: dict[str, Any]
    falls: list[str]
    stays: list[str]


def cases(make: Callable[..., str], issuer: str | None) -> dict[str, Case]:
    """Return a case for each kind of selection.

    Args:
        make: Makes a token from claims.
        issuer: The issuer of its tokens; None for tokens without one.
    """
    own = {"iss": issuer} if issuer else {}
    named = {"issuer": issuer} if issuer else {}
    digest = make(**own, jti="by its digest")
    return {
        "jti": Case(
            {**named, "jti": "7"},
            [make(**own, jti="7", sub="a"), make(**own, jti=7)],
            [make(**own, jti="8"), make(**own), make(**own, sub="7")],
        ),
        "sub": Case(
            {**named, "sub": "alice"},
            [make(**own, sub="alice", iat=NOW - 60), make(**own, sub="alice")],
            [
                make(**own, sub="alice", iat=NOW + 3600),
                make(**own, sub="bob", iat=NOW - 60),
                make(**own, jti="alice", iat=NOW - 60),
            ],
        ),
        "sub before a time": Case(
            {**named, "sub": "alice", "issued_before": NOW - 100},
            [make(**own, sub="alice", iat=NOW - 100.5), make(**own, sub="alice", iat=None)],
            [make(**own, sub="alice", iat=NOW - 100), make(**own, sub="alice", iat=NOW - 60)],
        ),
        "sha256": Case(
            {"sha256": sha256(digest).upper()},
            [digest],
            [make(**own, jti="by another digest")],
        ),
        "until": Case(
            {**named, "jti": "7", "until": NOW + 3600}, [make(**own, jti="7")], [make(**own)]
        ),
    }


def status_of_stream(hub: Hub, make: Callable[..., str], token: str) -> int:
    client = hub.http
    with client.stream("GET", f"{PATH}?{PARAMETER[make]}=t", headers=bearing(token)) as answer:
        if answer.status_code == 401:
            answer.read()
            assert answer.json()["detail"] == "The token was revoked."
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        return answer.status_code


def statuses(hub: Hub, make: Callable[..., str], token: str) -> set[int]:
    """Return the statuses of the answers to all kinds of requests with a token."""
    headers, http = bearing(token), hub.http
    asked = [
        http.post(PATH, data={"topic": "t"}, headers=headers),
        http.post(PATH, json=[{"topic": "t"}], headers=headers),
        http.post(
            f"{PATH}/publish-stream?topic=t",
            content=line("x"),
            headers={**headers, "Content-Type": "application/x-ndjson"},
        ),
        http.get(f"{PATH}?{PARAMETER[make]}=t", headers={**headers, **JSON}),
        http.head(f"{PATH}?{PARAMETER[make]}=t", headers=headers),
        http.post(f"{PATH}/runs", json={"key": "k", "runner": "r"}, headers=headers),
        http.get(f"{PATH}/runs?key=k", headers=headers),
        http.get(f"{PATH}/publish-stream?topic=t&producer=p", headers=headers),
    ]
    # The hub knows no such producer.
    found = {200 if answer.status_code in {201, 404} else answer.status_code for answer in asked}
    return found | {status_of_stream(hub, make, token)}


@pytest.mark.parametrize(
    ("make", "issuer"),
    [(claiming, None), (claiming, "https://login.example"), (claiming_1, ISSUER)],
)
def test_a_revoked_token_is_refused_and_no_other(
    hub: Hub, operator: Operator, make: Callable[..., str], issuer: str | None
) -> None:
    for kind, case in cases(make, issuer).items():
        told = operator.revoke(**case.revoked)
        for token in case.falls:
            assert statuses(hub, make, token) == {401}, kind
        for token in case.stays:
            assert statuses(hub, make, token) == {200}, kind
        assert operator.take_back(told["id"]) == 204
        assert statuses(hub, make, case.falls[0]) == {200}, kind
        assert operator.take_back(told["id"]) == 404


def test_an_issuer_is_that_of_the_token_alone(hub: Hub, operator: Operator) -> None:
    operator.revoke(sub="alice")
    operator.revoke(issuer="https://a.example", sub="bob")
    for claims, status in (
        ({"sub": "alice"}, 401),
        ({"sub": "alice", "iss": "https://a.example"}, 200),
        ({"sub": "bob"}, 200),
        ({"sub": "bob", "iss": "https://a.example"}, 401),
        ({"sub": "bob", "iss": "https://b.example"}, 200),
    ):
        assert statuses(hub, claiming, claiming(**claims)) == {status}, claims


def test_a_token_that_is_sent_in_another_form_is_the_same_one(hub: Hub, operator: Operator) -> None:
    token = claiming(jti="7")
    operator.revoke(sha256=sha256(token))
    # The last character of 43 has two bits that nothing needs.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = alphabet.index(token[-1])
    others = [token[:-1] + alphabet[at ^ bits] for bits in (1, 2, 3)]
    for form in (token, *others, f"{token}=", f"{token[:-1]}!{token[-1]}"):
        answer = hub.http.post(PATH, data={"topic": "t"}, headers=bearing(form))
        assert answer.status_code == 401


def test_open_streams_and_publishes_of_a_revoked_token_end(hub: Hub, operator: Operator) -> None:
    revoked, other = claiming(sub="alice", iat=NOW - 5), claiming(sub="bob", iat=NOW - 5)
    page: dict[str, Any] = {}

    async def scenario() -> None:
        paths = (f"{PATH}?topic=t", f"{PATH}?topic=t&rewind=1", f"{PATH}?topic=u")
        theirs = [SseClient(hub.served.address, path, bearing(revoked)) for path in paths]
        others = [SseClient(hub.served.address, path, bearing(other)) for path in paths]
        anonymous = [SseClient(hub.served.address, path) for path in paths]
        publish = StreamedPublish(hub.served.address, [("topic", "t")], headers=bearing(revoked))
        waiting = asyncio.to_thread(
            httpx.get,
            f"{hub.url}{PATH}?topic=quiet&last_event_id=&wait=20",
            headers={**bearing(revoked), **JSON},
            timeout=60,
        )
        async with reading(*theirs, *others, *anonymous), publish:
            await publish.send(line("before"))
            await until(lambda: all(each.events for each in (theirs[0], others[0], anonymous[0])))
            polled = asyncio.create_task(waiting)
            await asyncio.to_thread(operator.revoke, sub="alice")
            await until(lambda: all(each.clean is not None for each in theirs))
            assert all(each.clean for each in theirs)
            answer = await publish.answer()
            assert (answer.status, answer.body["accepted"]) == (401, 1)
            assert answer.body["detail"] == "The token was revoked."
            page["status"] = (await polled).status_code
            # Nobody else notices anything.
            hub.publish("after", "t")
            for each in (others[0], anonymous[0]):
                await until(lambda each=each: each.events[-1].data == "after")
            assert [each.clean for each in (*others, *anonymous)] == [None] * 6

    asyncio.run(scenario())
    assert page["status"] == 401


def test_what_a_streamed_publish_sends_once_it_is_revoked_is_not_accepted(
    hub: Hub, operator: Operator
) -> None:
    revoked = claiming(jti="7")

    async def scenario() -> None:
        async with StreamedPublish(
            hub.served.address, [("topic", "t")], headers=bearing(revoked)
        ) as publish:
            await publish.send(line("before"))
            await until(lambda: hub.http.get("/metrics").text.count("streamed_publishes 1.0"))
            await asyncio.to_thread(operator.revoke, jti="7")
            await publish.send(line("after"))
            assert (await publish.answer()).body["accepted"] <= 1

    asyncio.run(scenario())
    assert "after" not in hub.http.get(f"{PATH}?topic=t&last_event_id=earliest", headers=JSON).text


def test_who_may_operate(hub: Hub) -> None:
    operate = {"type": "https://mercure.rocks/authorization-detail", "topics": [{"match": "*"}]}
    all_topics = {"publish": ["*"], "subscribe": ["*"]}
    allowed = [
        claiming(mercure={"operate": True}),
        detailed({**operate, "actions": ["operate"]}),
    ]
    denied = [
        claiming(),
        claiming(mercure={**all_topics, "operate": False}),
        claiming_1(),
        detailed({**operate, "actions": ["publish", "*", "subscribe"]}),
    ]
    for method, parts in (
        ("POST", {"json": {"jti": "1"}}),
        ("GET", {}),
        ("DELETE", {"params": {"id": "0" * 32}}),
    ):
        for token in allowed:
            answer = hub.http.request(method, REVOCATIONS, headers=bearing(token), **parts)
            assert answer.status_code in {200, 201, 404}
        for token in denied:
            answer = hub.http.request(method, REVOCATIONS, headers=bearing(token), **parts)
            assert answer.status_code == 403
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        assert hub.http.request(method, REVOCATIONS, **parts).status_code == 401
    malformed = bearing(claiming(mercure={**all_topics, "operate": ["*"]}))
    assert hub.http.get(REVOCATIONS, headers=malformed).status_code == 401
    # The right to operate is no right to publish or to read.
    [old, new] = allowed
    for token in (old, new):
        answer = hub.http.post(PATH, data={"topic": "t"}, headers=bearing(token))
        assert answer.status_code == 403


def test_an_operator_can_be_revoked_too(hub: Hub, operator: Operator) -> None:
    token = claiming(jti="7", mercure={"operate": True})
    operator.revoke(jti="7")
    assert hub.http.get(REVOCATIONS, headers=bearing(token)).status_code == 401


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        (REVOCATIONS, "application/json", b'{"jti": "9"}'),
        (f"{PATH}/leave", "text/plain", b"topic=t"),
    ],
)
def test_a_token_that_is_revoked_while_the_body_comes_is_refused(
    serving: Serving, path: str, kind: str, body: bytes
) -> None:
    token = claiming(jti="7", sub="alice", mercure={"operate": True})
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: hub",
        f"Authorization: Bearer {token}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        # The hub asks for the body once it has accepted the token.
        "Expect: 100-continue",
    ]
    with (
        serving(subscriptions=True) as hub,
        closing(Operator(hub.url)) as operator,
        socket.create_connection(hub.served.address, PATIENCE_SECONDS) as client,
        client.makefile("rb") as answer,
    ):
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        assert b" 100 " in answer.readline()
        operator.revoke(jti="7")
        client.sendall(body)
        assert b"The token was revoked." in answer.read()
        assert [each["jti"] for each in operator.revocations()["revocations"]] == ["7"]


def test_a_malformed_request_revokes_nothing(hub: Hub, operator: Operator) -> None:
    for content, status in (({}, 400), ({"jti": "x" * 1025}, 413), ({"jti": "x" * 40_000}, 413)):
        answer = operator.post(content)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
    operating = bearing(claiming(mercure={"operate": True}))
    for body, kind, status in (
        (b"jti=1", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b'{"jti": "1", "jti": "2"}', "application/json", 400),
    ):
        headers = {**operating, "Content-Type": kind}
        assert hub.http.post(REVOCATIONS, content=body, headers=headers).status_code == status
    assert operator.revocations() == {"revocations": [], "next": None}


def test_the_list_comes_in_pages(hub: Hub, operator: Operator) -> None:
    made = [operator.revoke(jti=f"{number}", until=NOW + 3600.5) for number in range(5)]
    made.append(operator.revoke(issuer=ISSUER, sub="alice", issued_before=NOW))
    listed: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = operator.revocations(limit=2, **after)
        assert len(page["revocations"]) == 2
        listed += page["revocations"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert sorted(listed, key=str) == sorted(made, key=str)
    assert operator.revocations()["next"] is None
    for query in ("limit=0", "limit=1001", "limit=a", "limit=1&limit=2", "after=x"):
        assert (
            hub.http.get(
                f"{REVOCATIONS}?{query}", headers=bearing(claiming(mercure={"operate": True}))
            ).status_code
            == 400
        )


def test_revoking_again_is_one_revocation(operator: Operator) -> None:
    assert operator.post({"sub": "alice", "until": NOW + 3600}).status_code == 201
    again = operator.post({"sub": "alice"})
    assert (again.status_code, again.json()["until"]) == (200, None)
    assert len(operator.revocations()["revocations"]) == 1


def test_a_revocation_is_audited_without_a_token(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    by = sign(KEY, "HS256", (), (), None, operate=True)
    token = claiming(iss="https://login.example", sub="root", mercure={"operate": True})
    victim = claiming(jti="x")
    with caplog.at_level("INFO", "barestream.web.revocations"):
        told = hub.http.post(
            REVOCATIONS, json={"sha256": sha256(victim)}, headers=bearing(token)
        ).json()
        hub.http.delete(REVOCATIONS, params={"id": told["id"]}, headers=bearing(by))
    made, taken = [record.__dict__ for record in caplog.records]
    assert made["message"] == "tokens were revoked"
    assert (made["by_issuer"], made["by_sub"]) == ("https://login.example", "root")
    assert (made["sha256"], made["until"]) == (sha256(victim), None)
    assert (taken["message"], taken["id"], taken["by_sub"]) == (
        "a revocation was taken back",
        told["id"],
        None,
    )
    text = caplog.text
    assert not any(each in text for each in (by, token, victim))


def test_what_is_refused_is_counted(hub: Hub, operator: Operator) -> None:
    operator.revoke(jti="7")
    hub.http.post(PATH, data={"topic": "t"}, headers=bearing(claiming(jti="7")))
    figures = hub.http.get("/metrics").text
    assert "barestream_revocations 1.0" in figures
    assert "barestream_revocations_current 1.0" in figures
    assert "barestream_requests_revoked_total 1.0" in figures

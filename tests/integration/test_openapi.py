"""The description of the HTTP interface, against the service: each answer that it names, once."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema
import pytest

from barestream.app import create_app
from barestream.history.revocations import Revocation, Selection
from barestream.mercure.tokens import sign
from barestream.settings.settings import Settings
from support.clients.operator import REVOCATIONS
from support.clients.publisher import ISSUER, KEY, PATH, RESOURCE, access_token, token
from support.servers.served import Served
from support.servers.service import wait_for

STREAMED = f"{PATH}/publish-stream"
NDJSON = {"Content-Type": "application/x-ndjson"}
METADATA = "/.well-known/oauth-protected-resource/.well-known/mercure"
DIAGNOSIS = f"{PATH}/diagnosis"
FIGURES = f"{PATH}/figures"
RUNS = f"{PATH}/runs"
WHY = f"{PATH}/why"
MODULE = f"{PATH}/client/{{version}}/{{name}}"
SUBSCRIPTIONS = f"{PATH}/subscriptions"
OF_SELECTOR = f"{SUBSCRIPTIONS}/{{match_type}}/{{match}}"
A_SUBSCRIPTION = f"{OF_SELECTOR}/{{subscriber}}"
PRESENCE, LEAVE = f"{PATH}/presence", f"{PATH}/leave"
A_CLAIM = {"key": "active", "runner": "a process"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
KNOWN_TOKENS = {"issuer": ISSUER, "sub": "known", "issued_before": 5}
A_JTI = Revocation(Selection(None, jti="known"), 0).id
A_PAGE = {"Accept": "application/json"}


def bearer(*topics: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token(*topics)}"}


OPERATING = {"Authorization": f"Bearer {sign(KEY, 'HS256', (), (), None, operate=True)}"}
OF_0 = {"Authorization": f"Bearer {token()}"}


def producer(name: str, first: int) -> dict[str, str]:
    return {"Producer-Id": name, "Producer-Epoch": "0", "Producer-Seq": str(first)}


def streamed(topic: str, body: bytes, **headers: str) -> dict[str, Any]:
    """Return a streamed publish."""
    sent = {**NDJSON, **bearer("*"), **headers}
    return {"params": {"topic": topic}, "content": body, "headers": sent}


def asked(topic: str, name: str, **headers: str) -> dict[str, Any]:
    """Return a question for a position."""
    params = {"topic": topic, "producer": name}
    return {"params": params, "headers": {**bearer("*"), **headers}}


# Without a Valkey the history accepts nothing; without an identifier there are no metadata.
NO_HISTORY = Settings(
    token_key=KEY,
    issuer=ISSUER,
    resource_identifier=RESOURCE,
    broker_url="valkey://127.0.0.1:1",
    subscriptions=True,
)
SETTINGS = {
    "well": Settings(
        token_key=KEY, issuer=ISSUER, resource_identifier=RESOURCE, subscriptions=True
    ),
    "keeps nothing": Settings(
        token_key=KEY, issuer=ISSUER, resource_identifier=RESOURCE, kept_values=0, revocations=0
    ),
    "no history": NO_HISTORY,
    "no identifier": Settings(),
}

Request = dict[str, Any]

# A request for each answer: the server that gives it, and what is sent. Where an answer has several
# types, its key has one of them.
REQUESTS: dict[tuple[str, ...], tuple[str, Request]] = {
    (PATH, "get", "200", "text/event-stream"): ("well", {"params": {"match": "a"}}),
    (PATH, "get", "200", "application/json"): (
        "well",
        {
            "params": {"match": "state", "rewind": "kept", "include": "match,ready", "limit": 9},
            "headers": A_PAGE,
        },
    ),
    (PATH, "get", "204"): ("well", {"params": {"match": "ended"}}),
    (PATH, "get", "400"): ("well", {}),
    (PATH, "get", "401"): ("well", {"params": {"match": "a"}, "headers": {"Authorization": "x"}}),
    (PATH, "get", "503"): ("no history", {"params": {"match": "a"}, "headers": A_PAGE}),
    (PATH, "head", "200"): ("well", {"params": {"match": "a"}}),
    (PATH, "head", "400"): ("well", {}),
    (PATH, "head", "401"): ("well", {"params": {"match": "a"}, "headers": {"Authorization": "x"}}),
    (PATH, "head", "503"): ("no history", {"params": {"match": "a"}}),
    (PATH, "query", "200", "text/event-stream"): ("well", {"content": "match=a", "headers": FORM}),
    (PATH, "query", "200", "application/json"): (
        "well",
        {
            "content": "match=ended&last_event_id=unknown&wait=5",
            "headers": {**FORM, **A_PAGE},
        },
    ),
    (PATH, "query", "204"): ("well", {"content": "match=ended", "headers": FORM}),
    (PATH, "query", "400"): ("well", {"content": "match=", "headers": FORM}),
    (PATH, "query", "401"): (
        "well",
        {"content": "match=a", "headers": {**FORM, "Authorization": "Bearer x"}},
    ),
    (PATH, "query", "413"): ("well", {"content": b"x" * 300_000, "headers": FORM}),
    (PATH, "query", "415"): ("well", {"json": {"match": "a"}}),
    (PATH, "query", "503"): ("no history", {"content": "match=a", "headers": {**FORM, **A_PAGE}}),
    (PATH, "post", "200", "text/plain"): (
        "well",
        {"data": {"topic": "a"}, "headers": bearer("a")},
    ),
    (PATH, "post", "200", "application/json"): (
        "well",
        {"json": [{"topic": "a"}, {"topic": ["b", "c"], "keep": 60}], "headers": bearer("*")},
    ),
    (PATH, "post", "400"): ("well", {"data": {"topic": "*"}, "headers": bearer("*")}),
    (PATH, "post", "401"): ("well", {"data": {"topic": "a"}}),
    (PATH, "post", "403"): ("well", {"data": {"topic": "b"}, "headers": bearer("a")}),
    (PATH, "post", "409"): ("well", {"data": {"topic": "ended"}, "headers": bearer("*")}),
    (PATH, "post", "413"): ("well", {"data": {"topic": "a" * 2049}, "headers": bearer("*")}),
    (PATH, "post", "415"): ("well", {"content": "topic=a", "headers": bearer("a")}),
    (PATH, "post", "503"): ("no history", {"data": {"topic": "a"}, "headers": bearer("a")}),
    (PATH, "post", "507"): (
        "keeps nothing",
        {"data": {"topic": "a", "keep": "60"}, "headers": bearer("a")},
    ),
    (STREAMED, "post", "200"): (
        "well",
        {
            "params": {"topic": "a", "private": "on", "type": "t"},
            "content": b'{"data": 1}\n',
            "headers": {**NDJSON, **bearer("a"), **producer("p", 0)},
        },
    ),
    (STREAMED, "post", "400"): ("well", streamed("a", b"{]")),
    (STREAMED, "post", "401"): ("well", {"params": {"topic": "a"}, "headers": NDJSON}),
    (STREAMED, "post", "403"): ("well", streamed("a", b"", **bearer("b"))),
    (STREAMED, "post", "409"): ("well", streamed("a", b"", **producer("q", 5))),
    (STREAMED, "post", "410"): (
        "well",
        {
            "params": {"run": "unknown"},
            "content": b"{}",
            "headers": {**NDJSON, **bearer("*"), **producer("an id", 0)},
        },
    ),
    (STREAMED, "post", "413"): ("well", streamed("a" * 2049, b"")),
    (STREAMED, "post", "415"): ("well", {"params": {"topic": "a"}, "headers": bearer("a")}),
    (STREAMED, "post", "503"): ("no history", streamed("a", b"{}")),
    (STREAMED, "post", "507"): ("keeps nothing", streamed("a", b'{"keep": 9}')),
    (STREAMED, "get", "200"): ("well", asked("state", "known")),
    (STREAMED, "get", "400"): ("well", asked("state", "")),
    (STREAMED, "get", "401"): ("well", {"params": {"topic": "a", "producer": "p"}}),
    (STREAMED, "get", "403"): ("well", asked("state", "known", **bearer("a"))),
    (STREAMED, "get", "404"): ("well", asked("state", "unknown")),
    (STREAMED, "get", "503"): ("no history", asked("state", "known")),
    (RUNS, "post", "200"): ("well", {"json": A_CLAIM, "headers": bearer("*")}),
    (RUNS, "post", "201"): ("well", {"json": {**A_CLAIM, "key": "new"}, "headers": bearer("*")}),
    (RUNS, "post", "400"): ("well", {"json": {}, "headers": bearer("*")}),
    (RUNS, "post", "401"): ("well", {"json": A_CLAIM}),
    (RUNS, "post", "403"): ("well", {"json": A_CLAIM, "headers": bearer("a")}),
    (RUNS, "post", "413"): ("well", {"json": {"key": "a" * 129}, "headers": bearer("*")}),
    (RUNS, "post", "415"): ("well", {"content": "{}", "headers": bearer("*")}),
    (RUNS, "post", "503"): ("no history", {"json": A_CLAIM, "headers": bearer("*")}),
    **{
        (RUNS, method, status): (server, {"params": {"key": key}, "headers": bearer(topic)})
        for method, well in (("get", "200"), ("delete", "202"), ("put", "202"))
        for status, server, key, topic in (
            (well, "well", "active", "*"),
            ("400", "well", "", "*"),
            ("403", "well", "active", "a"),
            ("404", "well", "unknown", "*"),
            ("413", "well", "a" * 129, "*"),
            ("503", "no history", "active", "*"),
        )
    },
    (RUNS, "get", "401"): ("well", {"params": {"key": "active"}}),
    (RUNS, "delete", "401"): ("well", {"params": {"key": "active"}}),
    (RUNS, "put", "401"): ("well", {"params": {"key": "active"}}),
    (DIAGNOSIS, "get", "200", "text/event-stream"): (
        "well",
        {"params": {"events": 2, "heartbeats": 0}, "headers": OPERATING},
    ),
    (DIAGNOSIS, "get", "200", "application/json"): (
        "well",
        {"params": {"status": 200}, "headers": OPERATING},
    ),
    (DIAGNOSIS, "get", "400"): ("well", {"params": {"events": -1}, "headers": OPERATING}),
    (DIAGNOSIS, "get", "401"): ("well", {}),
    (DIAGNOSIS, "get", "403"): ("well", {"headers": bearer("*")}),
    (DIAGNOSIS, "get", "502"): ("well", {"params": {"status": 502}, "headers": OPERATING}),
    (FIGURES, "get", "200"): ("well", {"headers": OPERATING}),
    (FIGURES, "get", "401"): ("well", {}),
    (FIGURES, "get", "403"): ("well", {"headers": bearer("*")}),
    (FIGURES, "get", "503"): ("no history", {"headers": OPERATING}),
    (REVOCATIONS, "post", "200"): ("well", {"json": KNOWN_TOKENS, "headers": OPERATING}),
    (REVOCATIONS, "post", "201"): (
        "well",
        {"json": {"sha256": "ab" * 32, "until": 4e9}, "headers": OPERATING},
    ),
    (REVOCATIONS, "post", "400"): ("well", {"json": {}, "headers": OPERATING}),
    (REVOCATIONS, "post", "401"): ("well", {"json": {"jti": "1"}}),
    (REVOCATIONS, "post", "403"): ("well", {"json": {"jti": "1"}, "headers": bearer("*")}),
    (REVOCATIONS, "post", "413"): ("well", {"json": {"jti": "1" * 1025}, "headers": OPERATING}),
    (REVOCATIONS, "post", "415"): ("well", {"content": "{}", "headers": OPERATING}),
    (REVOCATIONS, "post", "503"): ("no history", {"json": {"jti": "1"}, "headers": OPERATING}),
    (REVOCATIONS, "post", "507"): ("keeps nothing", {"json": {"jti": "1"}, "headers": OPERATING}),
    (REVOCATIONS, "get", "200"): ("well", {"params": {"limit": 5}, "headers": OPERATING}),
    (REVOCATIONS, "get", "400"): ("well", {"params": {"after": "?"}, "headers": OPERATING}),
    (REVOCATIONS, "get", "401"): ("well", {}),
    (REVOCATIONS, "get", "403"): ("well", {"headers": bearer("*")}),
    (REVOCATIONS, "get", "503"): ("no history", {"headers": OPERATING}),
    (REVOCATIONS, "delete", "204"): ("well", {"params": {"id": A_JTI}, "headers": OPERATING}),
    (REVOCATIONS, "delete", "400"): ("well", {"params": {"id": ""}, "headers": OPERATING}),
    (REVOCATIONS, "delete", "401"): ("well", {"params": {"id": A_JTI}}),
    (REVOCATIONS, "delete", "403"): ("well", {"params": {"id": A_JTI}, "headers": bearer("*")}),
    (REVOCATIONS, "delete", "404"): ("well", {"params": {"id": "0" * 32}, "headers": OPERATING}),
    (REVOCATIONS, "delete", "503"): ("no history", {"params": {"id": A_JTI}, "headers": OPERATING}),
    **{
        (path, "get", status, *kinds): (server, {"path": parts, "headers": headers})
        for path, parts in (
            (SUBSCRIPTIONS, {}),
            (OF_SELECTOR, {"match_type": "exact", "match": "a"}),
            (A_SUBSCRIPTION, {"match_type": "exact", "match": "a", "subscriber": "unknown"}),
        )
        for status, server, headers, *kinds in (
            ("200", "well", bearer("*"), "application/json"),
            ("200", "well", OF_0, "application/ld+json"),
            ("304", "well", {**bearer("*"), "If-None-Match": "*"}),
            ("401", "well", {}),
            ("403", "well", bearer("a")),
            ("503", "no history", bearer("*")),
        )
        # Answers with one subscription are asked for below.
        if status != "200" or path == SUBSCRIPTIONS or (path == OF_SELECTOR and headers != OF_0)
    },
    (OF_SELECTOR, "get", "200", "application/ld+json"): (
        "well",
        {"path": {"match_type": "followed", "match": "known"}, "headers": OF_0},
    ),
    (OF_SELECTOR, "get", "400"): (
        "well",
        {"path": {"match_type": "x", "match": "a"}, "headers": bearer("*")},
    ),
    # In 0.x it is one subscription.
    (OF_SELECTOR, "get", "404"): (
        "well",
        {"path": {"match_type": "a", "match": "unknown"}, "headers": OF_0},
    ),
    (A_SUBSCRIPTION, "get", "200"): (
        "well",
        {
            "path": {"match_type": "exact", "match": "followed", "subscriber": "known"},
            "headers": bearer("*"),
        },
    ),
    (A_SUBSCRIPTION, "get", "400"): (
        "well",
        {"path": {"match_type": "x", "match": "a", "subscriber": "b"}, "headers": bearer("*")},
    ),
    (A_SUBSCRIPTION, "get", "404"): (
        "well",
        {"path": {"match_type": "exact", "match": "a", "subscriber": "b"}, "headers": bearer("*")},
    ),
    (PRESENCE, "get", "200"): ("well", {"params": {"topic": "a"}, "headers": bearer("*")}),
    (PRESENCE, "get", "400"): ("well", {"headers": bearer("*")}),
    (PRESENCE, "get", "401"): ("well", {"params": {"topic": "a"}}),
    (PRESENCE, "get", "403"): ("well", {"params": {"topic": "a"}, "headers": bearer("a")}),
    (PRESENCE, "get", "503"): ("no history", {"params": {"topic": "a"}, "headers": bearer("*")}),
    (LEAVE, "post", "204"): ("well", {"data": {"client": "a"}}),
    (LEAVE, "post", "400"): ("well", {"data": {"topic": "a"}}),
    (LEAVE, "post", "403"): (
        "well",
        {
            "data": {"client": "a"},
            "headers": {"Cookie": "mercureAuthorization=x", "Origin": "https://other.example"},
        },
    ),
    (LEAVE, "post", "413"): ("well", {"data": {"client": "a" * 300_000}}),
    (LEAVE, "post", "415"): ("well", {"json": {}}),
    (LEAVE, "post", "503"): ("no history", {"data": {"client": "a"}}),
    (LEAVE, "post", "401"): ("well", {"data": {"client": "a"}, "headers": {"Authorization": "x"}}),
    (WHY, "post", "200"): (
        "well",
        {"json": {"event": "unknown", "token": "x", "match": ["ended"]}, "headers": OPERATING},
    ),
    (WHY, "post", "400"): ("well", {"json": {}, "headers": OPERATING}),
    (WHY, "post", "401"): ("well", {"json": {"event": "#1-0"}}),
    (WHY, "post", "403"): ("well", {"json": {"event": "#1-0"}, "headers": bearer("*")}),
    (WHY, "post", "413"): ("well", {"json": {"event": "a" * 300_000}, "headers": OPERATING}),
    (WHY, "post", "415"): ("well", {"content": "{}", "headers": OPERATING}),
    (WHY, "post", "503"): ("no history", {"json": {"event": "#1-0"}, "headers": OPERATING}),
    (METADATA, "get", "200"): ("well", {}),
    (METADATA, "get", "404"): ("no identifier", {}),
    (f"{PATH}/barestream.js", "get", "200"): ("well", {}),
    (MODULE, "get", "200"): ("well", {"path": {"version": "any", "name": "place.js"}}),
    (MODULE, "get", "404"): ("well", {"path": {"version": "any", "name": "none.js"}}),
    ("/events", "get", "200"): ("well", {}),
    ("/events", "get", "400"): ("well", {"query": "?a=%ff"}),
    ("/healthz", "get", "200"): ("well", {}),
    ("/readyz", "get", "200"): ("well", {}),
    ("/readyz", "get", "503"): ("no history", {}),
}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Served]]:
    running = {name: Served(create_app(settings), ours=True) for name, settings in SETTINGS.items()}
    with ExitStack() as stack:
        for each in running.values():
            stack.enter_context(each)
        url = running["well"].url
        wait_for("the hub", lambda: httpx.get(f"{url}/readyz").status_code == 200)
        updates = [{"topic": "ended", "end": True}, {"topic": "state", "keep": 60, "retry": 5}]
        assert httpx.post(url + PATH, json=updates, headers=bearer("*")).status_code == 200
        known = streamed("state", b"{}", **producer("known", 0))
        assert httpx.post(url + STREAMED, **known).status_code == 200
        started = httpx.post(url + RUNS, json=A_CLAIM, headers=bearer("*"))
        assert started.status_code == 201
        for content in (KNOWN_TOKENS, {"jti": "known"}):
            assert httpx.post(url + REVOCATIONS, json=content, headers=OPERATING).is_success
        followed = {"params": {"match": "followed"}, "headers": bearer("*")}
        stack.enter_context(httpx.stream("GET", url + PATH, **followed))
        yield running


@pytest.fixture(scope="module")
def subscriber(servers: dict[str, Served]) -> str:
    """Return the id of a stream that is open, percent-encoded."""
    url = f"{servers['well'].url}{SUBSCRIPTIONS}/exact/followed"

    def found() -> list[dict[str, str]]:
        listed: list[dict[str, str]] = httpx.get(url, headers=bearer("*")).json()["subscriptions"]
        return listed

    [subscription] = wait_for("the subscription", found)
    return quote(subscription["subscriber"])


@pytest.fixture(scope="module")
def description(servers: dict[str, Served]) -> dict[str, Any]:
    answer = httpx.get(f"{servers['well'].url}/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def resolved(description: dict[str, Any], part: Any) -> Any:
    """Return a part of the description with what its references name."""
    if isinstance(part, list):
        return [resolved(description, each) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        found: Any = description
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return resolved(description, found)
    return {name: resolved(description, value) for name, value in part.items()}


def test_every_answer_of_the_description_is_asked_for(description: dict[str, Any]) -> None:
    named: set[tuple[str, ...]] = set()
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            for status, answer in resolved(description, operation["responses"]).items():
                kinds = list(answer.get("content", ()))
                several = [(kind,) for kind in kinds] if len(kinds) > 1 else [()]
                named |= {(path, method, status, *kind) for kind in several}
    assert named == {*REQUESTS}


@pytest.mark.parametrize("answer", REQUESTS, ids=lambda answer: "-".join(answer[1:]))
def test_the_service_answers_as_described(
    servers: dict[str, Served],
    description: dict[str, Any],
    subscriber: str,
    answer: tuple[str, ...],
) -> None:
    path, method, status, *kinds = answer
    name, request = REQUESTS[answer]
    operation = resolved(description, description["paths"][path][method])
    expected = operation["responses"][status]
    parameters = {each["name"] for each in operation.get("parameters", ())}
    assert {*request.get("params", ()), *request.get("path", ())} <= parameters
    if status == "200" and "json" in request:
        body = operation["requestBody"]["content"]["application/json"]
        jsonschema.validate(request["json"], body["schema"])
    sent = {**request}
    parts = sent.pop("path", {})
    parts = {each: subscriber if part == "known" else part for each, part in parts.items()}
    url = servers[name].url + path.format(**parts) + sent.pop("query", "")
    with httpx.stream(method.upper(), url, **sent) as given:
        assert given.status_code == int(status)
        headers = expected.get("headers", {})
        assert all(each in given.headers for each, is_ in headers.items() if is_.get("required"))
        if "content" not in expected:
            assert given.read() == b""
            return
        kind = given.headers["content-type"].partition(";")[0]
        assert [kind] == (kinds or [*expected["content"]])
        if kind != "text/event-stream":
            text = given.read().decode()
            value = given.json() if kind.endswith("json") else text
            jsonschema.validate(value, expected["content"][kind]["schema"])

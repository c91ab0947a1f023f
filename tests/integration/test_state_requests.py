"""Requests for the state of topics that are malformed: each is told what was expected."""

import httpx
import pytest

from hub_in_use import JSON, Hub
from support.clients.publisher import PATH

TOPICS = {"topic": "topic=a&topic=b", "match": "match=a&match_exact=b"}


def assert_refused(answer: httpx.Response, detail: str) -> None:
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 400
    assert detail in problem["detail"]
    assert len(answer.content) < 1000


@pytest.mark.parametrize("version", TOPICS)
@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("rewind=", "a number of updates such as 10, a time in whole seconds such as 30s"),
        ("rewind=0", "such as 10"),
        ("rewind=-1", "such as 10"),
        ("rewind=all", "such as 10"),
        ("rewind=1000000", "such as 10"),
        ("rewind=5m", "such as 10"),
        ("rewind=1&rewind=2", "once"),
        ("rewind=%00", "such as 10"),
        ("rewind=1&new=c", "'c', which is not a topic of the request"),
        ("rewind=1&new=", "which is not a topic of the request"),
        ("rewind=1&new=%0d%0a", "which is not a topic of the request"),
        ("new=a", "rewind is missing"),
        ("include=places", "include: expected match, ready or topic"),
        ("include=", "include: expected match, ready or topic"),
        ("include=topic&include=x", "include: expected match, ready or topic"),
    ],
)
def test_a_malformed_parameter_is_refused_with_its_form(
    hub: Hub, version: str, query: str, detail: str
) -> None:
    for headers in ({}, JSON):
        for answer in (
            hub.http.get(f"{PATH}?{TOPICS[version]}&{query}", headers=headers),
            hub.http.request(
                "QUERY",
                PATH,
                content=f"{TOPICS[version]}&{query}",
                headers={**headers, "Content-Type": "application/x-www-form-urlencoded"},
            ),
        ):
            assert_refused(answer, detail)
    head = hub.http.head(f"{PATH}?{TOPICS[version]}&{query}")
    assert (head.status_code, head.content) == (400, b"")


@pytest.mark.parametrize("version", TOPICS)
@pytest.mark.parametrize(
    ("query", "detail"),
    [
        *((f"limit={text}", "limit: expected one whole number from 1 to 1000") for text in
          ("", "0", "1001", "-1", "1.5", "x", "1&limit=2", "99999")),
        *((f"wait={text}", "wait: expected one whole number from 0 to 50") for text in
          ("", "51", "-1", "0.5", "5s", "1&wait=2")),
    ],
)  # fmt: skip
def test_a_malformed_bound_of_a_read_is_refused_with_its_form(
    hub: Hub, version: str, query: str, detail: str
) -> None:
    assert_refused(hub.http.get(f"{PATH}?{TOPICS[version]}&{query}", headers=JSON), detail)
    # A stream has no such bounds.
    with hub.http.stream("GET", f"{PATH}?{TOPICS[version]}&{query}") as stream:
        assert stream.status_code == 200


@pytest.mark.parametrize(
    "hostile",
    [
        "#1-1;a%0d%0aset-cookie:%20a=b",
        "#1-1~2-2;%0d%0a%0d%0a<script>",
        "#1-1;a;b%0aset-cookie:%20a=b",
        "#1-1;%00",
        "#1-1;a;b;0;end",
        "#1-1~2-2;a;;0.1%0d%0aset-cookie:%20a=b",
        "#1-1;a;;99999999999999999999999",
        "#1-99999999999999999999",
        "#999999999999999-99999999999999999999~",
        "#1-1~999999999999999-99999999999999999999",
        "#0-0~",
        "#0-0",
    ],
)
def test_no_id_writes_headers_or_breaks_a_stream_or_a_read(hub: Hub, hostile: str) -> None:
    hub.publish("a1")
    for more in ("", "&rewind=1", "&rewind=1&new=b"):
        for version in TOPICS.values():
            url = f"{PATH}?{version}{more}&last_event_id={hostile.replace('#', '%23')}"
            answer = hub.http.get(url, headers=JSON)
            assert answer.status_code == 200
            assert [event["data"] for event in answer.json()["events"]] == ["a1"]
            with hub.http.stream("GET", url) as stream:
                assert stream.status_code == 200
                assert "set-cookie" not in stream.headers
                assert next(stream.iter_raw()).startswith(b"retry: ")

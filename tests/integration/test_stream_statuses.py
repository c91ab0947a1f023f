"""What a request for a stream is answered with, and what the manual says of it."""

import re

import httpx
import pytest

from support.clients.publisher import PATH
from support.servers.service import ROOT, Service

WANTS_A_STREAM = {"Accept": "text/event-stream"}
LONG = "a" * 33_000


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", PATH, {}, 400),
        ("GET", f"{PATH}?topic=%ff", {}, 400),
        ("GET", f"{PATH}?topic=a&authorization=no.token.here", {}, 401),
        ("GET", "/nowhere", {}, 404),
        ("POST", "/events", {}, 405),
        ("GET", f"{PATH}?topic={LONG}", {}, 414),
        ("GET", "/events", {"Cookie": LONG}, 431),
    ],
)
def test_a_stream_is_refused_when_reconnecting_cannot_help(
    service: Service, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = httpx.request(method, service.url + path, headers={**WANTS_A_STREAM, **headers})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_the_manual_lists_for_each_status_whether_it_should_end_a_stream() -> None:
    section = (ROOT / "docs/http.md").read_text().partition("## Which answers end a stream")[2]
    rows = re.findall(r"(?m)^\| ([\d, ]+) \|", section.partition("\n## ")[0])
    named = [int(status) for row in rows for status in row.split(",")]
    of_the_client = [204, 304, 400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 431]
    assert named == [*of_the_client, 500, 501, 505, 507]

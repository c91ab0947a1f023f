"""Both versions of Mercure in Chromium and Firefox, on one running service: what an EventSource
gets of an update, with its id and its lines.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from support.clients.publisher import ISSUER, KEY, RESOURCE, access_token, token
from support.servers.service import Service, wait_for

BOOK = "https://example.net/foo/bar"

# The page opens a stream; once it is open, it publishes the updates one after another, each with
# the same token. It keeps the messages up to the one of the last update.
SCRIPT = """(() => {
    const {url, bearer, forms} = %s;
    window.told = null;
    const got = [];
    const stream = new EventSource(url);
    stream.onmessage = (message) => {
        if (message.data === "last") {
            stream.close();
            window.told = got;
        } else {
            got.push([message.lastEventId, message.data]);
        }
    };
    stream.onopen = async () => {
        stream.onopen = null;
        for (const body of forms) {
            const headers = {
                Authorization: `Bearer ${bearer}`,
                "Content-Type": "application/x-www-form-urlencoded",
            };
            const answer = await fetch("/.well-known/mercure", {method: "POST", headers, body});
            if (!answer.ok) window.told = await answer.text();
        }
    };
    return true;
})()"""

Evaluate = Callable[[str], Any]


@pytest.fixture(scope="module")
def hub() -> Iterator[Service]:
    """Return a service that speaks both versions, with one key."""
    with Service(token_key=KEY, workers=1, issuer=ISSUER, resource_identifier=RESOURCE) as running:
        yield running


def bearer_of(version: str) -> str:
    return token() if version == "0.x" else access_token("*")


CASES = [
    ("0.x", [("topic", "raw")], ["raw"], True),
    ("0.x", [("topic", "foo"), ("topic", "raw")], ["raw"], True),
    ("0.x", [("topic", BOOK)], [BOOK], True),
    ("0.x", [("topic", "https://example.net/foo/{random}")], [BOOK], True),
    ("0.x", [("topic", "raw")], ["another", "raw"], True),
    ("0.x", [("topic", "another")], ["raw"], False),
    ("0.x", [("topic", "https://example.net/bar/{random}")], [BOOK], False),
    ("1.0", [("match", "raw")], ["raw"], True),
    ("1.0", [("match_exact", "raw"), ("match", "foo")], ["raw"], True),
    ("1.0", [("match", BOOK)], [BOOK], True),
    ("1.0", [("match_urlpattern", "https://example.net/foo/:random")], [BOOK], True),
    ("1.0", [("match", "raw")], ["another", "raw"], True),
    ("1.0", [("match", "another")], ["raw"], False),
    ("1.0", [("match_urlpattern", "https://example.net/bar/:random")], [BOOK], False),
]


@pytest.mark.parametrize(
    ("version", "asked", "topics", "matches"), CASES, ids=[str(n) for n in range(len(CASES))]
)
@pytest.mark.parametrize("is_private", [False, True], ids=["public", "private"])
def test_an_event_source_gets_the_public_updates_that_it_asked_for(
    evaluate: Evaluate,
    version: str,
    asked: list[tuple[str, str]],
    topics: list[str],
    *,
    matches: bool,
    is_private: bool,
) -> None:
    asked = [*asked, ("topic" if version == "0.x" else "match", "last")]
    own_id = f"id-{time.time_ns()}-{json.dumps(topics)}"
    fields = [*(("topic", topic) for topic in topics), ("id", own_id), ("data", "one\n\n  two")]
    if is_private:
        fields.append(("private", "on"))
    course = {
        "url": f"/.well-known/mercure?{urlencode(asked)}",
        "bearer": bearer_of(version),
        "forms": [urlencode(fields), urlencode({"topic": "last", "data": "last"})],
    }
    assert evaluate(SCRIPT % json.dumps(course))
    wait_for("the last update", lambda: evaluate("[window.told]")[0] is not None)
    [told] = evaluate("[window.told]")
    # The page's EventSource has no token, so it gets no private update.
    assert told == ([[own_id, "one\n\n  two"]] if matches and not is_private else [])

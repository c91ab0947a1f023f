"""A page that says, as it goes, that its user leaves: in Chromium and Firefox."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest

from support.clients.publisher import KEY, PATH
from support.servers.service import Service, wait_for
from tab import Tab

ROOM = "/rooms/1"
PRESENCE = f"{PATH}/presence/%2Frooms%2F1"

# Longer than any wait of a test: who is gone within it, is gone by a request.
LONG_GRACE_SECONDS = 300

# In the page's console, as it were.
FOLLOW = """(async () => {
    const { connect } = await import("/.well-known/mercure/barestream.js");
    globalThis.streams = 0;
    const counting = (url, options) => {
        streams += url.includes("client=");
        return fetch(url, options);
    };
    globalThis.hub = connect(undefined, { identity: "ada", fetch: counting });
    hub.subscribe("/rooms/1");
    globalThis.presence = hub.presence("/rooms/1");
    addEventListener("pagehide", () => hub.leave("/rooms/1"));
})() && 1"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Service]:
    """Return a hub where the end of a stream alone is no leave."""
    settings = {"subscriptions": "true", "presence_grace_seconds": LONG_GRACE_SECONDS}
    with Service(token_key=KEY, workers=1, retry_ms=100, **settings) as running:
        yield running


def token_of(name: str) -> str:
    """Return the token of a user who may see who is in the room."""
    return jwt.encode({"sub": name, "mercure": {"subscribe": [ROOM, PRESENCE]}}, KEY)


def asked(hub: Service, path: str, **query: str) -> dict[str, Any]:
    """Return an answer of JSON to somebody who watches the room."""
    headers = {"Authorization": f"Bearer {token_of('watcher')}", "Accept": "application/json"}
    answer = httpx.get(f"{hub.url}{PATH}{path}", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def members(hub: Service) -> list[str]:
    """Return the members of the room."""
    return sorted(each["id"] for each in asked(hub, "/presence", topic=ROOM)["members"])


def test_a_page_that_goes_leaves_at_once_unless_another_tab_has_the_topic(
    hub: Service, new_tab: Callable[[], Tab]
) -> None:
    before = asked(hub, "/presence", topic=ROOM)["cursor"]
    tabs = [new_tab() for _ in range(3)]
    for tab in tabs:
        tab.open(f"{hub.url}/test")
        # A cookie counts here only from an origin that the hub allows, unlike a header.
        tab.evaluate(f"document.cookie = 'mercureAuthorization={token_of('ada')}; path=/'")
        tab.evaluate(FOLLOW)
        wait_for("oneself", lambda tab=tab: tab.evaluate("globalThis.presence?.members.size ?? 0"))
    assert members(hub) == ["ada"]
    # One that follows goes first; then, twice, the one that has the stream.
    going = next(tab for tab in tabs if not tab.evaluate("streams"))
    for _ in range(3):
        going.open("about:blank")
        tabs.remove(going)
        if tabs:
            going = wait_for(
                "the stream", lambda: next((tab for tab in tabs if tab.evaluate("streams")), None)
            )
    wait_for("the leave", lambda: members(hub) == [])
    told = asked(hub, "", topic=PRESENCE, last_event_id=before)["events"]
    assert [(each["type"], each["data"].count("ada")) for each in told] == [
        ("barestream.joined", 1),
        ("barestream.left", 1),
    ]

"""Tokens that end every few seconds, by header and by cookie, in Chromium and Firefox at the same
time.
"""

import os
import time
from collections.abc import Callable, Iterator

import pytest

from client_page import ClientPage, Setup
from client_stack import ClientStack
from number_publisher import NumberPublisher
from site_backend import DEFAULT_TOKEN_SECONDS
from support.servers.service import wait_for
from tab import Tab

TOKEN_SECONDS = 20

# Where a test waits for the end of a token.
SHORT_TOKEN_SECONDS = 10

# By hand: RENEWED_SECONDS=300.
RENEWED_SECONDS = float(os.environ.get("RENEWED_SECONDS", "45"))

LONGEST_SILENCE_MS = 3000

TOPIC = "/users/nobody/numbers"
SETUPS = [
    Setup("header", subscriptions=[{"topics": TOPIC}]),
    Setup("cookie", {"identity": "nobody"}, [{"topics": TOPIC}]),
]

BothTabs = Callable[[], list[Tab]]


@pytest.fixture
def publisher(client_stack: ClientStack) -> Iterator[NumberPublisher]:
    """Return a publisher of 20 private numbers a second."""
    with NumberPublisher(client_stack.hub, [TOPIC], user="nobody") as running:
        yield running


OpenPages = Callable[[float], list[ClientPage]]


@pytest.fixture
def open_pages(
    client_stack: ClientStack, both_tabs: BothTabs, publisher: NumberPublisher
) -> Iterator[OpenPages]:
    """Return a function that opens the page with each kind of token in each browser.

    It waits until they are live, on tokens that hold for so many seconds.
    """

    def opened(token_seconds: float) -> list[ClientPage]:
        client_stack.site.token_seconds = token_seconds
        pages = [
            ClientPage(tab, client_stack.front.url, setup)
            for setup in SETUPS
            for tab in both_tabs()
        ]
        for page in pages:
            page.wait_until_owed(publisher)
        return pages

    yield opened
    client_stack.site.token_seconds = DEFAULT_TOKEN_SECONDS
    client_stack.site.is_failing = False


def test_a_token_of_20_s_is_renewed_and_nothing_is_lost_or_twice(
    client_stack: ClientStack,
    open_pages: OpenPages,
    publisher: NumberPublisher,
    figure: Callable[[str], None],
) -> None:
    tokens = client_stack.site.tokens
    pages = open_pages(TOKEN_SECONDS)
    time.sleep(RENEWED_SECONDS)
    renewals = client_stack.site.tokens - tokens - len(pages)
    assert renewals >= len(pages) * (RENEWED_SECONDS // TOKEN_SECONDS)
    last = publisher.stop()
    silences = []
    for page in pages:
        seen = page.assert_whole(last)
        silences.append(seen.silence_ms())
        assert "denied" not in {each.state for each in seen.states}
        assert seen.untrue_states() == []
    figure(
        f"{last + 1} numbers, {renewals} renewals of {len(pages)} pages, "
        f"longest silence {max(silences):.0f} ms"
    )
    assert max(silences) < LONGEST_SILENCE_MS


def test_a_renewal_that_fails_is_shown_and_tried_again(
    client_stack: ClientStack, open_pages: OpenPages, publisher: NumberPublisher
) -> None:
    pages = open_pages(SHORT_TOKEN_SECONDS)
    client_stack.site.is_failing = True
    for page in pages:
        seen = page.wait_for_state("denied")
        assert seen.now.reason
        assert seen.now.retry_at
    refused = client_stack.site.refused
    wait_for("another try of each", lambda: client_stack.site.refused >= refused + len(pages))
    client_stack.site.is_failing = False
    for page in pages:
        page.wait_for_state("live", 70)
    publisher.wait_for(20)
    last = publisher.stop()
    for page in pages:
        seen = page.assert_whole(last)
        assert seen.untrue_states() == [], page.account(seen)

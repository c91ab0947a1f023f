"""The client over faults, in Chromium and Firefox at the same time: nothing is lost or twice, and
each page says all the while what is so.
"""

import os
import time
from collections.abc import Callable, Iterator

import pytest

from client_page import ClientPage, Record, Setup
from client_stack import ClientStack
from number_publisher import NumberPublisher
from support.clients.devtools import running_devtools
from support.servers.faulty_proxy import Fault
from support.servers.programs import path_of
from support.servers.stopped import stopped
from tab import Tab

# By hand: AWAY_SECONDS=30.
AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "8"))

STILL_SECONDS = 5
HOUR_MS = 3_600_000

# The longest that the client waits between two tries, and the longest try.
BACK_SECONDS = 20

BothTabs = Callable[[], list[Tab]]


@pytest.fixture
def publisher(client_stack: ClientStack) -> Iterator[NumberPublisher]:
    """Return a publisher of 20 numbers a second."""
    with NumberPublisher(client_stack.hub) as running:
        yield running


def open_pages(
    both_tabs: BothTabs, origin: str, publisher: NumberPublisher, setup: Setup | None = None
) -> list[ClientPage]:
    """Open the page in both browsers, and wait until both are live."""
    pages = [ClientPage(tab, origin, setup) for tab in both_tabs()]
    for page in pages:
        page.wait_until_owed(publisher)
    return pages


def assert_whole_and_true(pages: list[ClientPage], publisher: NumberPublisher) -> None:
    """Publish for a moment, and see that all came once, and that no state was untrue."""
    for page in pages:
        page.wait_for_state("live", BACK_SECONDS)
    publisher.wait_for(20)
    last = publisher.stop()
    for page in pages:
        seen = page.assert_whole(last)
        assert seen.now.state == "live", page.account(seen)
        assert seen.untrue_states() == [], page.account(seen)


def count_of_lives(seen: Record) -> int:
    """Return how often the page became live."""
    return [each.state for each in seen.states].count("live")


def states_since(seen: Record, since: float) -> set[str]:
    """Return the states that were shown since a moment of time.time."""
    return {each.state for each in seen.states if each.at > since * 1000}


def test_a_restart_of_the_app(
    client_stack: ClientStack, both_tabs: BothTabs, publisher: NumberPublisher
) -> None:
    pages = open_pages(both_tabs, client_stack.front.url, publisher)
    gone_at = time.time()
    client_stack.hub.end_app()
    client_stack.hub.start_app()
    for page in pages:
        page.wait_for(
            "live again",
            lambda seen: (
                {"waiting", "live"} <= states_since(seen, gone_at) and seen.now.state == "live"
            ),
            BACK_SECONDS,
        )
    assert_whole_and_true(pages, publisher)


def test_an_nginx_that_stands_without_its_app(
    client_stack: ClientStack, both_tabs: BothTabs, publisher: NumberPublisher
) -> None:
    pages = open_pages(both_tabs, client_stack.front.url, publisher)
    gone_at = time.time()
    client_stack.hub.end_app()
    try:
        for page in pages:
            page.wait_for_state("waiting")
        time.sleep(max(0.0, gone_at + AWAY_SECONDS - time.time()))
        for page in pages:
            # A try may be under way.
            assert page.record().now.state in ("waiting", "connecting")
    finally:
        client_stack.hub.start_app()
    assert_whole_and_true(pages, publisher)


def test_a_restart_of_nginx(
    client_stack: ClientStack, both_tabs: BothTabs, publisher: NumberPublisher
) -> None:
    pages = open_pages(both_tabs, client_stack.front.url, publisher)
    # The front answers 502 with a page of HTML.
    client_stack.hub.restart_nginx()
    for page in pages:
        page.wait_for_state("live", BACK_SECONDS)
        page.wait_for_events(20)
    # Connections are refused.
    client_stack.front.stop()
    for page in pages:
        page.wait_for_state("waiting")
    client_stack.front.start()
    assert_whole_and_true(pages, publisher)


def test_a_reload_goes_on_from_the_cursor_that_the_page_kept(
    client_stack: ClientStack, both_tabs: BothTabs, publisher: NumberPublisher
) -> None:
    pages = open_pages(both_tabs, client_stack.front.url, publisher, Setup(resumes=True))
    for page in pages:
        page.wait_for_events(20)
        page.tab.reload()
    for page in pages:
        page.wait_for("another page", lambda seen: len(seen.shows) > 1)
        page.wait_for_events(20)
    assert_whole_and_true(pages, publisher)


def test_back_and_forward(
    client_stack: ClientStack, both_tabs: BothTabs, publisher: NumberPublisher
) -> None:
    pages = open_pages(both_tabs, client_stack.front.url, publisher, Setup(resumes=True))
    other = f"{client_stack.front.url}/site/other.html"
    for page in pages:
        page.tab.open(other)
    client_stack.wait_for_streams(0)
    publisher.wait_for(20)
    for page in pages:
        page.tab.go(-1)
    for page in pages:
        page.wait_for("the page again", lambda seen: len(seen.shows) > 1)
        page.wait_for_events(40)
        page.tab.go(1)
    client_stack.wait_for_streams(0)
    for page in pages:
        page.tab.go(-1)
        page.wait_for("the page a third time", lambda seen: len(seen.shows) > 2)
    # Out of the cache. Firefox stores no page that has a request under way, so it loads it again.
    assert [is_cached for is_cached, _ in pages[0].record().shows] == [False, True, True]
    assert_whole_and_true(pages, publisher)


def test_a_page_that_stands_still_for_a_while(
    client_stack: ClientStack, both_tabs: BothTabs, publisher: NumberPublisher
) -> None:
    pages = open_pages(both_tabs, client_stack.front.url, publisher)
    pids = [pid for page in pages for pid in page.tab.pids()]
    assert len(pids) >= len(pages)
    with stopped(*pids):
        time.sleep(STILL_SECONDS)
    publisher.wait_for(20)
    last = publisher.stop()
    for page in pages:
        seen = page.assert_whole(last)
        page.wait_for_state("live", BACK_SECONDS)
        # A page that does not run shows what it last showed.
        assert seen.silence_ms() > (STILL_SECONDS - 1) * 1000


def test_a_page_that_chromium_freezes(
    client_stack: ClientStack, publisher: NumberPublisher
) -> None:
    with running_devtools(path_of("chromium", "chromium")) as tab:
        page = ClientPage(tab, client_stack.front.url)
        page.wait_until_owed(publisher)
        tab.hide()
        tab.freeze()
        time.sleep(STILL_SECONDS)
        tab.resume()
        tab.show()
        page.wait_for_state("live", BACK_SECONDS)
        publisher.wait_for(20)
        seen = page.assert_whole(publisher.stop())
        assert seen.silence_ms() > (STILL_SECONDS - 1) * 1000


def test_killed_sockets_before_and_after_the_pages_clock_is_set_back_an_hour(
    client_stack: ClientStack, both_tabs: BothTabs, publisher: NumberPublisher
) -> None:
    pages = open_pages(both_tabs, client_stack.proxy.url, publisher)
    for set_back in (False, True):
        for page in pages:
            if set_back:
                page.tab.evaluate(f"setClockBack({HOUR_MS})")
            page.wait_for_events(20)
        lives = [count_of_lives(page.record()) for page in pages]
        client_stack.proxy.break_all()
        for page, before in zip(pages, lives, strict=True):
            page.wait_for(
                "live again",
                lambda seen, before=before: count_of_lives(seen) > before,
                BACK_SECONDS,
            )
    assert_whole_and_true(pages, publisher)


def test_a_proxy_that_cuts_each_answer_after_5_s(
    client_stack: ClientStack, both_tabs: BothTabs, publisher: NumberPublisher
) -> None:
    client_stack.proxy.fault = Fault.CUTS
    try:
        pages = open_pages(both_tabs, client_stack.proxy.url, publisher)
        for page in pages:
            page.wait_for("two cuts", lambda seen: count_of_lives(seen) > 2)
        assert_whole_and_true(pages, publisher)
    finally:
        client_stack.proxy.fault = Fault.NONE


def test_a_proxy_that_buffers_whole_answers(
    client_stack: ClientStack, both_tabs: BothTabs, publisher: NumberPublisher
) -> None:
    client_stack.proxy.fault = Fault.BUFFERS
    try:
        pages = [ClientPage(tab, client_stack.proxy.url) for tab in both_tabs()]
        for page in pages:
            seen = page.wait_for("reads", lambda seen: seen.now.via == "reads")
            assert {each.state for each in seen.states if each.via == "stream"} <= {
                *("idle", "connecting", "waiting")
            }
            page.wait_until_owed(publisher)
            assert page.record().now.reason
        publisher.wait_for(40)
        last = publisher.stop()
        for page in pages:
            seen = page.assert_whole(last)
            assert (seen.now.state, seen.now.via) == ("live", "reads")
            assert seen.untrue_states() == [], page.account(seen)
    finally:
        client_stack.proxy.fault = Fault.NONE

"""A login in one of three tabs changes the user of all of them, in Chromium and Firefox."""

from collections.abc import Callable

import pytest

from client_page import ClientPage, Setup
from client_stack import ClientStack
from number_publisher import NumberPublisher
from support.servers.service import wait_for
from tab import Tab


def login(page: ClientPage, user: str) -> None:
    """Log a user in, as a page's form does."""
    count = len(page.record().fetches)
    page.tab.evaluate(f"ask('login?user={user}', {{ method: 'POST' }})")
    page.wait_for("the login", lambda seen: len(seen.fetches) > count)


@pytest.mark.parametrize("auth", ["header", "cookie"])
def test_no_event_of_the_user_before_comes_after_a_login(
    client_stack: ClientStack, new_tab: Callable[[], Tab], auth: str
) -> None:
    origin = client_stack.front.url
    tab = new_tab()
    tab.open(f"{origin}/site/other.html")
    assert tab.evaluate("fetch('login?user=ann', { method: 'POST' }).then(() => { done = 1 }) && 1")
    wait_for("the login", lambda: tab.evaluate("globalThis.done ?? 0"))
    options = {"identity": "ann"} if auth == "cookie" else {}
    setup = Setup(auth, options, [{"topics": "/users/{user}/numbers"}])
    with (
        NumberPublisher(client_stack.hub, ["/users/ann/numbers"], user="ann") as ann,
        NumberPublisher(client_stack.hub, ["/users/ben/numbers"], user="ben") as ben,
    ):
        pages = [ClientPage(each, origin, setup) for each in (tab, new_tab(), new_tab())]
        for page in pages:
            seen = page.wait_for_events(5)
            assert {each.user for each in seen.events} == {"ann"}
        login(pages[1], "ben")
        told_at = pages[1].tab.evaluate(
            "(hub.identify('ben'), performance.timeOrigin + performance.now())"
        )
        for page in pages:
            page.wait_for("the other user's", lambda seen: seen.events[-1].user == "ben")
        ann.wait_for(20)
        ben.wait_for(20)
        last = ben.stop()
    for page in pages:
        seen = page.wait_for("the last", lambda seen: seen.events[-1].number == last)
        # To the other tabs the message takes a moment. What came before it is told.
        users = [each.user for each in seen.events if page is not pages[1] or each.at > told_at]
        assert users == sorted(users)
        if page is pages[1]:
            assert "ann" not in users
        of_ben = [each.number for each in seen.events if each.user == "ben"]
        assert of_ben == list(range(of_ben[0], last + 1))
        assert seen.gaps == []
        assert seen.complaints == []

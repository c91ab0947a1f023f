"""Eight tabs with the client share one stream; when its tab closes, another takes it over."""

import time
from collections.abc import Callable

import pytest

from client_page import ClientPage, Setup
from client_stack import ClientStack
from number_publisher import NumberPublisher
from support.servers.service import wait_for
from tab import Tab

TABS = 8
HANDOVERS = 10

ORIGINS = ["on localhost", "on a host name without TLS", "over TLS with HTTP/2"]


def close(page: ClientPage) -> None:
    page.tab.close()


@pytest.mark.parametrize("where", ORIGINS)
def test_eight_tabs_share_one_stream_and_hand_it_over_ten_times(
    client_stack: ClientStack,
    new_tab: Callable[[], Tab],
    where: str,
    figure: Callable[[str], None],
) -> None:
    origin = client_stack.origins[where]
    with NumberPublisher(client_stack.hub) as publisher:
        pages = [ClientPage(new_tab(), origin, Setup()) for _ in range(TABS)]
        assert pages[0].tab.evaluate("isSecureContext") == (where != ORIGINS[1])
        for page in pages:
            page.wait_until_owed(publisher)
        client_stack.wait_for_streams(1)
        own_ms = max(page.ask_own() for page in pages)
        handovers = []
        for _ in range(HANDOVERS):
            [leader] = [page for page in pages if page.has_stream]
            pages.remove(leader)
            others = [page for page in pages if page.owed < publisher.count]
            leader.assert_whole(publisher.count - 1)
            closed_at = time.time()
            close(leader)
            wait_for("a new leader", lambda: any(page.has_stream for page in pages))
            pages.append(ClientPage(new_tab(), origin, Setup()))
            pages[-1].wait_until_owed(publisher)
            count = publisher.count
            for page in others:
                seen = page.wait_for_number(count)
                handovers.append(seen.silence_ms(since=(closed_at - 1) * 1000))
            client_stack.wait_for_streams(1)
        last = publisher.stop()
    for page in pages:
        page.assert_whole(last)
    figure(f"own request {own_ms:.0f} ms, longest handover {max(handovers):.0f} ms")
    assert own_ms < 1000
    assert max(handovers) < 3000

"""The page /test of the real service, in Firefox ESR."""

import signal
import time

from live_page import LivePage, are_whole, is_counted_down
from support.clients.firefox import Firefox
from support.servers.service import Service


def open_page(firefox: Firefox, service: Service) -> LivePage:
    firefox.navigate(f"{service.url}/test")
    return LivePage(firefox.evaluate)


def assert_all_is_well(page: LivePage) -> None:
    shown = page.shown()
    assert are_whole(shown.seconds), shown.seconds
    assert shown.now("missed") == "0"
    assert shown.complaints == []


def test_the_time_ticks_each_second_and_the_state_is_live(
    service: Service, firefox: Firefox
) -> None:
    page = open_page(firefox, service)
    page.wait_for_ticks(3)
    shown, shown_at = page.shown(), time.time()
    assert shown.all("state") == ["Connecting", "Live"]
    assert 0 <= shown_at - shown.seconds[-1] < 1.5
    assert_all_is_well(page)


def test_the_page_misses_no_tick_over_an_outage_of_the_app_and_then_of_nginx(
    fresh_service: Service, firefox: Firefox
) -> None:
    page = open_page(firefox, fresh_service)
    page.wait_for_ticks(2)
    gone_at = time.time()
    fresh_service.signal(signal.SIGTERM)
    page.wait_for_state("Reconnecting")
    wait_for_vain_retries(page, 1)
    # No answer comes at all, where nginx answered for the app before.
    fresh_service.stop()
    wait_for_vain_retries(page, 2)
    fresh_service.start()
    back_at = time.time()
    page.wait_for_state("Live")
    print(f"Live {time.time() - back_at:.1f} s after all was back, away {back_at - gone_at:.1f} s")
    # The ticks of the outage come first.
    page.wait_for("a live tick", lambda shown: shown.seconds[-1] > back_at)
    shown = page.shown()
    assert shown.all("state") == ["Connecting", "Live", "Reconnecting", "Live"]
    assert is_counted_down(shown.all("countdown"))
    assert shown.seconds[0] < gone_at < back_at < shown.seconds[-1]
    assert shown.now("reconnects") == "1"
    assert_all_is_well(page)


def wait_for_vain_retries(page: LivePage, count: int) -> None:
    """Wait until the page, after so many retries, counts down to the next."""
    page.wait_for("a retry", lambda shown: shown.all("countdown")[:-1].count("now") >= count)

"""The page /test of the real service, in Chromium."""

import signal
import time
import urllib.request
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route

from chromium_tab import ChromiumTab
from live_page import are_whole, seconds_of
from support.servers.outer_nginx import outer_nginx
from support.servers.service import Service, open_connections, wait_for

OpenTab = Callable[..., ChromiumTab]

AWAY_SECONDS = 8


def open_streams(service: Service) -> int:
    return sum(
        open_connections(worker, path)
        for worker in service.workers()
        for path in service.current_sockets
    )


def answer_502(route: Route) -> None:
    route.fulfill(status=502, content_type="application/problem+json", body="{}")


def assert_all_is_well(tab: ChromiumTab) -> None:
    shown = tab.shown()
    assert are_whole(shown.seconds), shown.seconds
    assert shown.now("missed") == "0"
    assert shown.complaints == []
    assert tab.complaints == []


def test_the_time_ticks_each_second_and_the_state_is_live(
    service: Service, open_tab: OpenTab
) -> None:
    tab = open_tab(service)
    tab.wait_for_state("Live")
    tab.wait_for_ticks(1)
    first_at = time.time()
    tab.wait_for_ticks(3)
    shown, shown_at = tab.shown(), time.time()
    assert 2 < shown_at - first_at < 4
    assert 0 <= shown_at - shown.seconds[-1] < 1.5
    assert shown.now("time") == time.strftime("%H:%M:%S", time.gmtime(shown.seconds[-1]))
    assert shown.now("date").startswith(time.strftime("%a", time.gmtime(shown.seconds[-1])))
    assert shown.now("date").endswith("UTC")
    assert shown.now("count") == str(len(shown.seconds))
    assert 0 <= int(shown.now("lag").removesuffix(" ms")) < 1000
    assert shown.now("state") == "Live"
    assert_all_is_well(tab)


def test_the_status_is_announced_when_it_changes_and_not_with_each_tick(
    service: Service, open_tab: OpenTab
) -> None:
    tab = open_tab(service)
    tab.wait_for_ticks(3)
    assert tab.page.get_by_role("status").get_attribute("id") == "announcement"
    announced = tab.shown().all("announcement")
    assert [text.partition(".")[0] for text in announced] == ["Connecting", "Live"]


def test_the_page_misses_no_tick_over_an_outage_of_the_app(
    fresh_service: Service, open_tab: OpenTab, screenshots: Path
) -> None:
    tab = open_tab(fresh_service)
    tab.wait_for_ticks(2)
    gone_at = time.time()
    fresh_service.signal(signal.SIGTERM)
    tab.wait_for_state("Reconnecting")
    tab.wait_for_countdown()
    tab.page.screenshot(path=screenshots / "reconnecting.png", full_page=True)
    wait_for("the app's end", lambda: not fresh_service.is_app_running())
    tab.page.wait_for_timeout(max(0, gone_at + AWAY_SECONDS - time.time()) * 1000)
    fresh_service.start_app()
    back_at = time.time()
    tab.wait_for_state("Live")
    print(f"Live {time.time() - back_at:.1f} s after the app was back")
    # The ticks of the outage come first.
    tab.wait_for("a live tick", lambda shown: shown.seconds[-1] > back_at)
    shown = tab.shown()
    assert shown.all("state") == ["Connecting", "Live", "Reconnecting", "Live"]
    assert shown.seconds[0] < gone_at < back_at < shown.seconds[-1]
    assert shown.now("reconnects") == "1"
    # nginx answers in the app's place, so that the console has nothing to complain of.
    assert_all_is_well(tab)


def test_the_page_reconnects_after_an_outage_of_nginx_too(
    fresh_service: Service, open_tab: OpenTab
) -> None:
    tab = open_tab(fresh_service)
    tab.wait_for_ticks(1)
    fresh_service.stop()
    tab.wait_for_state("Reconnecting")
    tab.wait_until("a refused retry", lambda: tab.complaints)
    fresh_service.start()
    tab.wait_for_state("Live")
    tab.wait_for_ticks(1)
    assert all("ERR_CONNECTION_REFUSED" in line for line in tab.complaints), tab.complaints
    tab.complaints.clear()
    assert_all_is_well(tab)


def test_the_page_recovers_from_a_502_which_closes_an_eventsource_for_good(
    service: Service, open_tab: OpenTab
) -> None:
    tab = open_tab(service)
    tab.wait_for_ticks(1)
    tab.page.get_by_role("button", name="Stop").click()
    tab.page.route("**/events*", answer_502, times=1)
    tab.page.get_by_role("button", name="Start").click()
    tab.wait_for_state("Reconnecting")
    tab.wait_for_state("Live")
    tab.wait_for_ticks(1)
    states = tab.shown().all("state")
    assert states[-4:] == ["Stopped", "Connecting", "Reconnecting", "Live"]
    [complaint] = tab.complaints
    assert "502" in complaint
    tab.complaints.clear()
    assert_all_is_well(tab)


def test_a_reload_keeps_the_cursor_and_shows_the_missed_ticks(
    service: Service, open_tab: OpenTab
) -> None:
    tab = open_tab(service)
    tab.wait_for_ticks(1)
    last = tab.shown().seconds[-1]
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    tab.page.route("**/events*", hold, times=1)
    tab.page.reload()
    tab.wait_until("the request", lambda: held)
    [cursor] = parse_qs(urlsplit(tab.stream_urls[-1]).query)["lastEventID"]
    assert last <= seconds_of(cursor) <= time.time()
    # From memory, before anything is received.
    shown = tab.shown()
    assert shown.all("last-id")[-1] == cursor
    assert shown.now("state") == "Connecting"
    tab.page.wait_for_timeout(2000)
    held[0].continue_()
    tab.wait_for_state("Live")
    # The cursor's own tick, two that it missed, and one that comes live.
    tab.wait_for("the ticks", lambda shown: len(shown.seconds) >= 4)
    shown = tab.shown()
    assert shown.seconds[0] == seconds_of(cursor)
    assert shown.now("count") == str(len(shown.seconds) - 1)
    assert_all_is_well(tab)


def test_two_tabs_share_one_stream_and_the_remaining_tab_takes_it_over(
    service: Service, open_tab: OpenTab
) -> None:
    first = open_tab(service)
    first.wait_for_state("Live")
    second = open_tab(service, beside=first)
    second.wait_for_ticks(2)
    wait_for("one stream", lambda: open_streams(service) == 1)
    assert [len(tab.stream_urls) for tab in (first, second)] == [1, 0]
    assert_all_is_well(first)
    first.page.close()
    second.wait_for_ticks(2)
    wait_for("one stream", lambda: open_streams(service) == 1)
    assert len(second.stream_urls) == 1
    assert_all_is_well(second)


def test_the_page_shows_and_survives_a_loss_of_the_network(
    service: Service, open_tab: OpenTab
) -> None:
    tab = open_tab(service)
    tab.wait_for_ticks(1)
    tab.page.context.set_offline(True)
    tab.wait_for_state("Offline")
    tab.wait_until("a retry in vain", lambda: tab.complaints)
    assert tab.shown().now("state") == "Offline"
    tab.page.context.set_offline(False)
    tab.wait_for_state("Live")
    tab.wait_for_ticks(1)
    assert all("ERR_INTERNET_DISCONNECTED" in line for line in tab.complaints), tab.complaints
    tab.complaints.clear()
    assert_all_is_well(tab)


def test_the_stream_can_be_stopped_and_started_by_keyboard(
    service: Service, open_tab: OpenTab
) -> None:
    tab = open_tab(service)
    tab.wait_for_ticks(1)
    wait_for("its stream alone", lambda: open_streams(service) == 1)
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.press("Enter")
    tab.wait_for_state("Stopped")
    wait_for("the stream's end", lambda: open_streams(service) == 0)
    count = tab.shown().now("count")
    tab.page.wait_for_timeout(2500)
    assert tab.shown().now("count") == count
    assert tab.evaluate("document.activeElement.textContent") == "Start"
    tab.page.keyboard.press("Space")
    tab.wait_for_state("Live")
    tab.wait_for_ticks(1)
    assert tab.evaluate("document.activeElement.textContent") == "Stop"
    assert_all_is_well(tab)


def test_nothing_scrolls_sideways_at_320_pixels(
    service: Service, open_tab: OpenTab, screenshots: Path
) -> None:
    tab = open_tab(service, viewport={"width": 320, "height": 720}, device_scale_factor=2)
    fits = "document.documentElement.scrollWidth <= innerWidth"
    tab.wait_for_ticks(1)
    assert tab.evaluate(fits)
    tab.page.screenshot(path=screenshots / "narrow.png", full_page=True)
    tab.page.route("**/events*", answer_502)
    tab.page.reload()
    tab.wait_for_countdown()
    assert tab.evaluate(fits)
    tab.page.screenshot(path=screenshots / "narrow_reconnecting.png", full_page=True)
    tab.page.get_by_role("button", name="Stop").click()
    tab.wait_for_state("Stopped")
    assert tab.evaluate(fits)
    tab.page.screenshot(path=screenshots / "narrow_stopped.png", full_page=True)


COLOURS = """['#state', 'h1', '#time', '#date', '#announcement', '#toggle', 'dt', 'dd', 'footer']
.map((selector) => {
  const element = document.querySelector(selector);
  let behind = element;
  const paper = () => getComputedStyle(behind).backgroundColor;
  while (paper() === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
  return [selector, getComputedStyle(element).color, paper()];
})"""


def luminance(colour: str) -> float:
    """Return the relative luminance of an rgb() colour, by WCAG 2.2."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(ink: str, paper: str) -> float:
    darker, lighter = sorted(map(luminance, (ink, paper)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_is_readable_in_both_colour_schemes(
    service: Service, open_tab: OpenTab, screenshots: Path, scheme: str
) -> None:
    tab = open_tab(service, color_scheme=scheme, reduced_motion="reduce")
    tab.wait_for_ticks(2)
    tab.page.screenshot(path=screenshots / f"{scheme}.png", full_page=True)
    assert (luminance(tab.evaluate(COLOURS)[0][2]) > 0.5) == (scheme == "light")
    for state in ("connecting", "live", "reconnecting", "offline", "stopped"):
        tab.evaluate(f"document.documentElement.dataset.state = '{state}'")
        found: list[tuple[str, str, str]] = tab.evaluate(COLOURS)
        contrasts = {selector: contrast(ink, paper) for selector, ink, paper in found}
        assert min(contrasts.values()) >= 4.5, (state, contrasts)


def test_without_javascript_the_page_says_that_it_needs_it(
    service: Service, open_tab: OpenTab
) -> None:
    tab = open_tab(service, java_script_enabled=False)
    assert tab.page.locator("noscript").is_visible()
    assert not tab.page.locator("#time").is_visible()
    assert not tab.page.locator("#toggle").is_visible()


def test_the_page_is_live_below_the_path_of_an_outer_proxy(
    service: Service, open_tab: OpenTab, tmp_path: Path
) -> None:
    with outer_nginx(service, tmp_path, "/hub/") as outer:
        tab = open_tab(outer)
        tab.wait_for_state("Live")
        tab.wait_for_ticks(2)
        assert {urlsplit(url).path for url in tab.stream_urls} == {"/hub/events"}
        assert_all_is_well(tab)


class InlineCode(HTMLParser):
    """Collects what a policy without 'unsafe-inline' would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.found.append(tag)
        if tag == "script":
            self.scripts.append(given.get("src") or "")
        self.found += [name for name in given if name == "style" or name.startswith("on")]


def test_the_html_has_no_inline_script_and_no_inline_style(service: Service) -> None:
    with urllib.request.urlopen(f"{service.url}/test", timeout=10) as answer:
        html = answer.read().decode()
    parser = InlineCode()
    parser.feed(html)
    assert parser.found == []
    [script] = parser.scripts
    assert script.startswith("static/")

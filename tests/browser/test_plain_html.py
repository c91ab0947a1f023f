"""examples/plain-html in Chromium and Firefox, started as its README says."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from example_page import ExamplePage, take_pictures
from support.clients.publisher import KEY, PATH, token
from support.servers.example import Example
from support.servers.service import Service, wait_for
from tab import Tab


@pytest.fixture
def departures() -> Iterator[Example]:
    """Return the example with a hub of its own."""
    with (
        Service(token_key=KEY, workers=1, retry_ms=100) as hub,
        Example("plain-html", hub) as running,
    ):
        yield running


def publish(departures: Example, *texts: str) -> None:
    """Publish as the README does, by the example's address."""
    for text in texts:
        httpx.post(
            departures.url + PATH,
            headers={"Authorization": f"Bearer {token()}"},
            data={"topic": "departures", "data": text},
        ).raise_for_status()


def wait_for_list(page: ExamplePage, texts: list[str]) -> None:
    """Wait until a page shows these departures."""
    wait_for(f"{texts}", lambda: page.texts("#list li") == texts)


def test_a_page_shows_the_newest_ten_and_then_each_one_once(
    departures: Example, new_tab: Callable[[], Tab]
) -> None:
    early = ExamplePage(new_tab(), departures.url)
    early.wait_for_state("live")
    earlier = [f"14:{minute:02} Utrecht" for minute in range(12)]
    publish(departures, *earlier)
    wait_for_list(early, earlier[::-1])
    late = ExamplePage(new_tab(), departures.url)
    wait_for_list(late, earlier[:1:-1])
    publish(departures, "15:00 Delft")
    wait_for_list(early, ["15:00 Delft", *earlier[::-1]])
    wait_for_list(late, ["15:00 Delft", *earlier[:1:-1]])
    assert (early.complaints, late.complaints) == ([], [])


def test_the_page_looks_as_in_the_manual(
    departures: Example, chromium: Browser, screenshots: Path
) -> None:
    publish(
        departures,
        "13:52 Leiden, platform 1",
        "13:58 Delft, platform 4",
        "14:05 Utrecht, platform 3",
        "14:11 Haarlem, platform 2",
    )
    take_pictures(chromium, ExamplePage, departures.url, screenshots / "plain-html", lambda _: None)

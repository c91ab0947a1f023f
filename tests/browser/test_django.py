"""examples/django in Chromium and Firefox, started as its README says."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from example_page import ExamplePage, take_pictures
from support.servers.example import Example
from support.servers.service import Service, wait_for
from tab import Tab

STOCK = "#shop li span"


@pytest.fixture
def shop(local_hub: Service) -> Iterator[Example]:
    """Return the example with its stock as it was in the beginning."""
    with Example("django", local_hub) as running:
        yield running


@pytest.fixture
def pages(shop: Example, new_tab: Callable[[], Tab]) -> list[ExamplePage]:
    """Return the page in two tabs."""
    opened = [ExamplePage(new_tab(), shop.url) for _ in range(2)]
    for page in opened:
        page.wait_for_state("live")
    return opened


def wait_for_stock(page: ExamplePage, *stock: str) -> None:
    """Wait until a page shows the stock of each product."""
    wait_for(f"{stock}", lambda: page.texts(STOCK) == list(stock))


def test_each_page_shows_a_purchase_and_a_product_that_is_sold_out(
    pages: list[ExamplePage],
) -> None:
    first, second = pages
    wait_for_stock(second, "12 left", "7 left", "3 left")
    for left in ("2 left", "1 left", "sold out"):
        first.press("#product-3 button")
        for page in pages:
            wait_for_stock(page, "12 left", "7 left", left)
    assert second.tab.evaluate("document.querySelector('#product-3 button').disabled")
    assert [page.complaints for page in pages] == [[], []]


def test_a_purchase_that_is_refused_publishes_nothing(
    shop: Example, local_hub: Service, pages: list[ExamplePage]
) -> None:
    [page, _] = pages
    with httpx.Client(base_url=shop.url) as client:
        field = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get("/").text)
        assert field is not None
        form = {"csrfmiddlewaretoken": field[1]}
        statuses = [client.post("/products/3/buy", data=form).status_code for _ in range(4)]
        assert statuses == [204, 204, 204, 409]
        assert client.post("/products/3/buy").status_code == 403
    wait_for_stock(page, "12 left", "7 left", "sold out")
    read = httpx.get(
        f"{local_hub.url}/.well-known/mercure",
        params={"topic": "/products/3", "last_event_id": "earliest"},
        headers={"Accept": "application/json"},
    )
    published = [event["data"] for event in read.json()["events"]]
    assert [re.search(r'"left": (\d)', data)[1] for data in published[-3:]] == ["2", "1", "0"]


def test_a_hub_that_is_away_fails_no_purchase_and_the_page_gets_the_stock_afterwards(
    shop: Example, local_hub: Service, pages: list[ExamplePage]
) -> None:
    first, second = pages
    wait_for_stock(second, "12 left", "7 left", "3 left")
    local_hub.stop()
    try:
        first.press("#product-1 button")
        wait_for("the purchase", lambda: '"POST /products/1/buy HTTP/1.0" 204' in shop.log)
    finally:
        local_hub.start()
    # The local_hub has lost its memory, so the client gets the state again.
    for page in pages:
        wait_for_stock(page, "11 left", "7 left", "3 left")
        page.wait_for_state("live")


def test_the_page_looks_as_in_the_manual(
    shop: Example, chromium: Browser, screenshots: Path
) -> None:
    def prepare(page: ExamplePage) -> None:
        wait_for_stock(page, "12 left", "7 left", "3 left")

    take_pictures(chromium, ExamplePage, shop.url, screenshots / "django", prepare)

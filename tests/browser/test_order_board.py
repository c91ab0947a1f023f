"""examples/order-board in Chromium and Firefox, started as its README says."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from example_page import ExamplePage, take_pictures
from support.clients.publisher import KEY
from support.servers.example import Example
from support.servers.service import ROOT, Service, wait_for
from tab import Tab

# Long enough for a test, and short enough to be waited for.
TOKEN_SECONDS = 15

# An app that does less, without the client and barestream.runs: its server, script and HTML.
LINES_BY_HAND = 113 + 70 + 6

# Blank lines, and those that are a comment or a docstring.
NO_CODE = re.compile(r'\s*(#.*|//.*|""".*""")?')

BOARD = """Object.fromEntries(["new", "packed", "sent"].map((id) => [
    id, Array.from(document.querySelectorAll(`#${id} button`), (button) => button.textContent)
]))"""


@pytest.fixture
def hub() -> Iterator[Service]:
    """Return a hub that keeps its history in memory, so that its restart is a gap."""
    with Service(token_key=KEY, workers=1, retry_ms=100) as running:
        yield running


@pytest.fixture
def board(hub: Service) -> Iterator[Example]:
    """Return the example without orders."""
    with Example("order-board", hub, TOKEN_SECONDS=str(TOKEN_SECONDS)) as running:
        yield running


@pytest.fixture
def open_page(board: Example, new_tab: Callable[[], Tab]) -> Callable[[], "BoardPage"]:
    """Return a function that opens the page in another tab of one user."""

    def opened() -> BoardPage:
        page = BoardPage(new_tab(), board.url)
        page.wait_for_state("live")
        return page

    return opened


@pytest.fixture
def stranger(board: Example) -> Iterator[httpx.Client]:
    """Return another user, without a browser."""
    with httpx.Client(base_url=board.url) as client:
        client.post("/session").raise_for_status()
        yield client


class BoardPage(ExamplePage):
    """The board in a tab."""

    def order(self, item: str) -> None:
        """Order something, as a person does."""
        self.fill("[name=item]", item)
        self.press("[formaction=orders]")
        self.wait_for_order(item, "new")

    def move(self, item: str) -> None:
        """Press the button of an order."""
        self.press_text("#board button", item)

    def column_of(self, item: str) -> list[str]:
        """Return each column that an order is in."""
        return [column for column, items in self.tab.evaluate(BOARD).items() if item in items]

    def number_of(self, item: str) -> int:
        """Return the number of an order."""
        found = "Array.from(document.querySelectorAll('#board button'))"
        return int(self.tab.evaluate(f"{found}.find((each) => each.textContent === '{item}').id"))

    def wait_for_order(self, item: str, column: str) -> None:
        """Wait until an order is in a column, and in no other."""
        wait_for(f"{item} in {column}", lambda: self.column_of(item) == [column])

    @property
    def notices(self) -> list[str]:
        """The notices, the newest first."""
        return self.text("#notices").splitlines()


def test_every_tab_shows_each_change_and_only_its_own_users_notices(
    stranger: httpx.Client, open_page: Callable[[], BoardPage]
) -> None:
    first, second = open_page(), open_page()
    first.order("tea")
    second.wait_for_order("tea", "new")
    stranger.post("/orders", data={"item": "cup"}).raise_for_status()
    second.wait_for_order("cup", "new")
    second.move("cup")
    second.wait_for_order("cup", "packed")
    second.move("tea")
    for page in (first, second):
        page.wait_for_order("cup", "packed")
        page.wait_for_order("tea", "packed")
        wait_for("the notice", lambda page=page: page.notices)
        # That of the cup was published before it, and is for another user.
        assert page.notices == ["Your order is packed: tea"]
        assert page.complaints == []
    second.move("tea")
    second.wait_for_order("tea", "sent")
    # Its button does nothing more.
    second.move("tea")
    first.order("milk")
    first.move("milk")
    due = ["packed: milk", "sent: tea", "packed: tea"]
    wait_for("the notice", lambda: "Your order is packed: milk" in first.notices)
    assert first.notices == [f"Your order is {each}" for each in due]


def test_a_summary_comes_to_every_tab_while_it_is_written_and_whole_to_a_later_one(
    open_page: Callable[[], BoardPage],
) -> None:
    first, second = open_page(), open_page()
    first.order("one large pot of tea")
    before = first.text("#summary")
    second.press("[formaction=summary]")

    def summary(page: BoardPage) -> str:
        return page.text("#summary").removeprefix(before)

    for page in (first, second):
        wait_for("the first words", lambda page=page: summary(page))
    late = open_page()
    wait_for("the end", lambda: summary(first).endswith("\n"))
    assert "one large pot of tea: new. " in summary(first)
    for page in (second, late):
        wait_for("the same", lambda page=page: page.text("#summary") == first.text("#summary"))
    words = first.tab.evaluate("shown().texts.summary")
    assert len(words) > 3
    assert first.complaints == []


def test_notices_come_after_the_token_of_the_first_stream_has_ended(
    board: Example, open_page: Callable[[], BoardPage]
) -> None:
    page = open_page()
    page.order("milk")
    renewals = board.log.count("POST /session")
    wait_for("two more tokens", lambda: board.log.count("POST /session") >= renewals + 2)
    page.move("milk")
    wait_for("the notice", lambda: page.notices == ["Your order is packed: milk"])
    assert page.complaints == []


def test_after_a_gap_the_page_shows_what_the_database_has(
    hub: Service, stranger: httpx.Client, open_page: Callable[[], BoardPage]
) -> None:
    page = open_page()
    page.order("bread")
    number = page.number_of("bread")
    [worker] = hub.workers()
    # It takes the update from nginx, and forgets it with its memory. So no page is told.
    os.kill(worker, signal.SIGSTOP)
    try:
        with pytest.raises(httpx.ReadTimeout):
            stranger.post(f"/orders/{number}", timeout=1)
    finally:
        os.kill(worker, signal.SIGKILL)
    page.wait_for_order("bread", "packed")
    page.wait_for_state("live")
    assert page.complaints == []


def test_it_has_at_most_half_the_lines_that_its_readme_compares_with() -> None:
    folder = ROOT / "examples/order-board"
    files = [folder / "app.py", *folder.glob("page/*.js"), *folder.glob("page/*.html")]
    lines = [
        line
        for path in files
        for line in path.read_text().splitlines()
        if not NO_CODE.fullmatch(line)
    ]
    assert len(files) == 3
    assert len(lines) <= LINES_BY_HAND / 2
    stated = f"{len(lines)} lines of Python, JavaScript and HTML"
    assert stated in (folder / "README.md").read_text()
    assert stated in (ROOT / "docs/examples.md").read_text()


def test_the_page_looks_as_in_the_manual(
    board: Example, chromium: Browser, screenshots: Path
) -> None:
    def prepare(page: BoardPage) -> None:
        for item, moves in {"Green tea": 2, "Two cups": 1, "A large pot": 0}.items():
            page.order(item)
            for column in ["packed", "sent"][:moves]:
                page.move(item)
                page.wait_for_order(item, column)
        page.press("[formaction=summary]")
        wait_for("the summary", lambda: page.text("#summary").endswith("\n"))

    take_pictures(chromium, BoardPage, board.url, screenshots / "order-board", prepare)

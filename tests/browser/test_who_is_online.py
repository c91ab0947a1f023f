"""examples/who-is-online in Chromium, started as its README says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from example_page import ExamplePage, take_pictures
from live_page import WATCH
from support.clients.publisher import KEY
from support.servers.example import Example
from support.servers.service import Service, wait_for
from tab import Tab, TabOfChromium

# Longer than any wait of a test: who is gone within it, is gone at once.
LONG_GRACE_SECONDS = 300
SHORT_GRACE_SECONDS = 0.5


@contextmanager
def running_room(grace_seconds: float) -> Iterator[Example]:
    """Run the example with a hub of its own."""
    settings = {"subscriptions": "true", "presence_grace_seconds": grace_seconds}
    with (
        Service(token_key=KEY, retry_ms=100, workers=1, **settings) as hub,
        Example("who-is-online", hub) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def room() -> Iterator[Example]:
    """Return the example, where the end of a stream alone is no leave."""
    with running_room(LONG_GRACE_SECONDS) as running:
        yield running


@pytest.fixture(scope="module")
def hasty_room() -> Iterator[Example]:
    """Return the example, where whoever is gone for a moment has left."""
    with running_room(SHORT_GRACE_SECONDS) as running:
        yield running


@pytest.fixture
def new_browser(chromium: Browser) -> Iterator[Callable[[], BrowserContext]]:
    """Return a function that makes a browser of another user, as it were."""
    made: list[BrowserContext] = []

    def make() -> BrowserContext:
        made.append(chromium.new_context())
        made[-1].add_init_script(WATCH)
        return made[-1]

    yield make
    for each in made:
        each.close()


class RoomPage(ExamplePage):
    """The room in a tab."""

    def log_in(self, name: str) -> None:
        """Give a name, as a person does, and wait to see oneself."""
        wait_for("the form", lambda: self.is_shown("#login"))
        self.fill("[name=name]", name)
        self.press("#login button")
        self.wait_for_state("live")
        wait_for(name, lambda: name in self.here)

    def is_shown(self, selector: str) -> bool:
        """Return whether an element is there to be seen."""
        found: bool = self.tab.evaluate(f"document.querySelector('{selector}').checkVisibility()")
        return found

    @property
    def here(self) -> list[str]:
        """Who is there, by their names."""
        return sorted(self.texts("#here li"))

    @property
    def log(self) -> list[str]:
        """Who has joined and who has left, the newest first."""
        return self.text("#log").splitlines()


def enter(browser: BrowserContext, room: Example, name: str) -> RoomPage:
    """Open the page in a browser, and log in."""
    page = RoomPage(TabOfChromium(browser.new_page()), room.url)
    page.log_in(name)
    return page


def wait_for_here(page: RoomPage, *names: str) -> None:
    """Wait until a page shows these users, and no others."""
    wait_for(f"{names}", lambda: page.here == sorted(names))


def test_a_reload_and_a_second_tab_are_no_leave_and_a_log_out_is_one_at_once(
    room: Example, new_browser: Callable[[], BrowserContext]
) -> None:
    of_ada, of_bob = new_browser(), new_browser()
    ada = enter(of_ada, room, "Ada")
    bob = enter(of_bob, room, "Bob")
    wait_for_here(ada, "Ada", "Bob")
    wait_for_here(bob, "Ada", "Bob")
    assert (ada.log, bob.log) == (["Bob has joined."], [])
    ada.tab.reload()
    ada.wait_for_state("live")
    wait_for_here(ada, "Ada", "Bob")
    second = RoomPage(TabOfChromium(of_ada.new_page()), room.url)
    wait_for_here(second, "Ada", "Bob")
    third = RoomPage(TabOfChromium(of_ada.new_page()), room.url)
    third.wait_for_state("live")
    third.tab.close()
    # Had Ada gone and come, Bob had been told before.
    cyd = enter(new_browser(), room, "Cyd")
    wait_for_here(bob, "Ada", "Bob", "Cyd")
    assert bob.log == ["Cyd has joined."]
    second.press("#logout")
    wait_for_here(bob, "Bob", "Cyd")
    assert bob.log == ["Ada has left.", "Cyd has joined."]
    for page in (ada, second):
        wait_for("the form", lambda page=page: page.is_shown("#login"))
    # Who comes back after a log-out comes anew.
    ada.log_in("Ada")
    wait_for_here(cyd, "Ada", "Bob", "Cyd")
    assert cyd.log == ["Ada has joined.", "Ada has left."]
    assert [page.complaints for page in (ada, bob, cyd)] == [[], [], []]


def test_who_closes_the_page_has_left_once_the_grace_is_over(
    hasty_room: Example, new_browser: Callable[[], BrowserContext]
) -> None:
    ada = enter(new_browser(), hasty_room, "Ada")
    bob = enter(new_browser(), hasty_room, "Bob")
    wait_for_here(ada, "Ada", "Bob")
    bob.tab.close()
    wait_for_here(ada, "Ada")
    assert ada.log == ["Bob has left.", "Bob has joined."]
    assert ada.complaints == []


def test_the_page_looks_as_in_the_manual(
    hasty_room: Example,
    chromium: Browser,
    new_browser: Callable[[], BrowserContext],
    screenshots: Path,
) -> None:
    class Pictured(RoomPage):
        def __init__(self, tab: Tab, url: str) -> None:
            super().__init__(tab, url)
            self.log_in("Ada")

    def prepare(page: RoomPage) -> None:
        others = [enter(new_browser(), hasty_room, name) for name in ("Grace", "Alan", "Edsger")]
        others[1].press("#logout")
        wait_for_here(page, "Ada", "Grace", "Edsger")

    take_pictures(chromium, Pictured, hasty_room.url, screenshots / "who-is-online", prepare)

"""A tab of any browser, as the tests of a whole app need it."""

from collections.abc import Callable
from typing import Any, Protocol

from playwright.sync_api import Page

from support.clients.firefox import Firefox
from support.servers.service import children


class PlainTab(Protocol):
    """What any driver can do."""

    def open(self, url: str) -> None:
        """Load a page."""

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""


class Tab(PlainTab, Protocol):
    """What the drivers of both browsers can do."""

    def reload(self) -> None:
        """Load the page again."""

    def go(self, steps: int) -> None:
        """Go through the tab's history: forward, or back where the number is negative."""

    def pids(self) -> list[int]:
        """Return the processes without which none of the browser's pages runs."""

    def close(self) -> None:
        """Close the tab."""


class TabOfChromium:
    """A tab of Chromium."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.evaluate: Callable[[str], Any] = page.evaluate
        self.close = page.close

    def open(self, url: str) -> None:
        """Load a page."""
        self.page.goto(url)

    def reload(self) -> None:
        """Load the page again."""
        self.page.reload()

    def go(self, steps: int) -> None:
        """Go through the tab's history: forward, or back where the number is negative."""
        # A page that comes out of the cache is not loaded, which Playwright would wait for.
        if steps < 0:
            self.page.go_back(wait_until="commit")
        else:
            self.page.go_forward(wait_until="commit")

    def pids(self) -> list[int]:
        """Return the processes without which none of the browser's pages runs."""
        browser = self.page.context.browser
        assert browser is not None
        session = browser.new_browser_cdp_session()
        found = session.send("SystemInfo.getProcessInfo")["processInfo"]
        session.detach()
        return [int(each["id"]) for each in found if each["type"] == "renderer"]


class TabOfFirefox:
    """A tab of Firefox."""

    def __init__(self, firefox: Firefox) -> None:
        self.open = firefox.navigate
        self.reload = firefox.reload
        self.evaluate: Callable[[str], Any] = firefox.evaluate
        self.go = firefox.go
        self._firefox = firefox
        self._is_closed = False

    def pids(self) -> list[int]:
        """Return the processes without which none of the browser's pages runs."""
        return [self._firefox.pid, *children(self._firefox.pid)]

    def close(self) -> None:
        """Close the tab, unless it is closed."""
        if not self._is_closed:
            self._firefox.close()
        self._is_closed = True

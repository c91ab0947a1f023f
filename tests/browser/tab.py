"""A tab of any browser, as the tests of a whole app need it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from playwright.sync_api import Page

from support.clients.firefox import Firefox

KEEP_STREAMS = (Path(__file__).parent / "keep_streams.js").read_text()


class Tab(Protocol):
    """What both browsers can do."""

    def open(self, url: str) -> None:
        """Load a page."""

    def reload(self) -> None:
        """Load the page again."""

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""

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


class TabOfFirefox:
    """A tab of Firefox."""

    def __init__(self, firefox: Firefox) -> None:
        self.open = firefox.navigate
        self.reload = firefox.reload
        self.evaluate: Callable[[str], Any] = firefox.evaluate
        self.close = firefox.close

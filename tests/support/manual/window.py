"""The reader's browser: Chromium in the reader's network."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page

from support.clients.chromium import running_chromium
from support.manual.machine import Machine
from support.servers.programs import path_of
from support.servers.service import PATIENCE_SECONDS

# Where samples run that do not say where: a page of the hub's own origin.
HUB_PAGE = "http://127.0.0.1/test"


class Window:
    """A browser, with a tab for each address.

    Args:
        browser: Chromium.

    Attributes:
        console: What the pages have written to their console.
    """

    def __init__(self, browser: Browser) -> None:
        self._context = browser.new_context()
        self._tabs: dict[str, Page] = {}
        self._last: Page | None = None
        self.console: list[str] = []

    def open(self, url: str) -> Page:
        """Return the tab of an address; open it where it is not open."""
        if url not in self._tabs:
            tab = self._tabs[url] = self._context.new_page()
            tab.set_default_timeout(1000 * PATIENCE_SECONDS)
            tab.on("console", lambda message: self.console.append(message.text))
            tab.goto(url)
        self._last = self._tabs[url]
        return self._last

    def run(self, script: str, url: str) -> None:
        """Run a script in the tab of an address; fail where it raises."""
        self.open(url).evaluate(f"async () => {{ {script} }}")

    def shows(self, text: str) -> None:
        """Wait until the tab that was opened last shows a text."""
        assert self._last
        self._last.get_by_text(text, exact=True).first.wait_for()

    def send(self, text: str) -> None:
        """Type a text into the form of the tab that was opened last, and send it."""
        assert self._last
        self._last.get_by_role("textbox").fill(text)
        self._last.get_by_role("button").click()

    def pump(self) -> list[str]:
        """Return the console, after Playwright has reported what is new."""
        if self._last:
            self._last.wait_for_timeout(10)
        return self.console


@contextmanager
def window(machine: Machine) -> Iterator[Window]:
    """Run a browser in the network of a machine as long as the context lasts."""
    program = machine.folder / "chromium"
    chromium = path_of("chromium", "chromium")
    program.write_text(f'#!/bin/sh\nexec {" ".join(machine.inside)} {chromium} "$@"\n')
    program.chmod(0o755)
    with running_chromium(str(program)) as browser:
        yield Window(browser)

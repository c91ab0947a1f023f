"""A tab of Chromium, and what it reports of itself."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request

from live_page import PATIENCE_SECONDS, WATCH, LivePage
from support.servers.service import wait_for


class ChromiumTab(LivePage):
    """A tab of Chromium.

    Attributes:
        page: Playwright's object of it.
        complaints: The errors and warnings in its console, of all pages that it had.
        stream_urls: The address of each stream that it asked for, in order.
    """

    def __init__(self, page: Page) -> None:
        super().__init__(page.evaluate)
        self.page = page
        self.complaints: list[str] = []
        self.stream_urls: list[str] = []
        page.add_init_script(WATCH)
        page.on("console", self._hear)
        page.on("request", self._see)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location['url']})")

    def _see(self, request: Request) -> None:
        if urlsplit(request.url).path.endswith("/events"):
            self.stream_urls.append(request.url)

    def wait_until(self, what: str, condition: Callable[[], Any]) -> None:
        """Wait for what Playwright reports, which it does during its own calls alone."""

        def is_reported() -> Any:
            self.page.wait_for_timeout(10)
            return condition()

        wait_for(what, is_reported, PATIENCE_SECONDS)

"""The service as `make up` runs it, and the browsers."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from chromium_tab import ChromiumTab
from live_page import WATCH
from support.clients.chromium import running_chromium
from support.clients.firefox import Firefox, running_firefox
from support.servers.programs import path_of
from support.servers.service import Answering, Service
from tab import KEEP_STREAMS, Tab, TabOfChromium, TabOfFirefox


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """Return a running service, for tests that leave it as they found it."""
    with Service() as running:
        yield running


@pytest.fixture
def fresh_service() -> Iterator[Service]:
    """Return a running service, for one test to do anything with."""
    with Service() as running:
        yield running


@pytest.fixture(scope="session")
def node() -> str:
    """Return the path of Node.js."""
    return path_of("node", "nodejs")


# Not for the session: tests of other folders call asyncio.run.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a headless Chromium."""
    with running_chromium(path_of("chromium", "chromium")) as browser:
        yield browser


@pytest.fixture(scope="module")
def firefox() -> Iterator[Firefox]:
    """Return a headless Firefox that writes down what a page shows."""
    with running_firefox(path_of("firefox-esr", "firefox-esr")) as browser:
        browser.before_each_page(WATCH)
        browser.before_each_page(KEEP_STREAMS)
        yield browser


@pytest.fixture(params=["Chromium", "Firefox"])
def evaluate(request: pytest.FixtureRequest, hub: Service) -> Iterator[Callable[[str], Any]]:
    """Return a function that evaluates an expression in a page of the module's hub."""
    if request.param == "Firefox":
        firefox: Firefox = request.getfixturevalue("firefox")
        firefox.navigate(f"{hub.url}/test")
        yield firefox.evaluate
    else:
        chromium: Browser = request.getfixturevalue("chromium")
        page = chromium.new_page()
        page.goto(f"{hub.url}/test")
        yield page.evaluate
        page.close()


@pytest.fixture
def open_tab(chromium: Browser) -> Iterator[Callable[..., ChromiumTab]]:
    """Return a function that opens the page of a service in Chromium.

    It is opened beside another tab, or in a context of its own with the options given.
    """
    contexts: list[BrowserContext] = []

    def new_context(**options: Any) -> BrowserContext:
        contexts.append(chromium.new_context(**options))
        return contexts[-1]

    def open_page(
        service: Answering, *, beside: ChromiumTab | None = None, **options: Any
    ) -> ChromiumTab:
        context = beside.page.context if beside else new_context(**options)
        tab = ChromiumTab(context.new_page())
        tab.page.goto(f"{service.url}/test")
        return tab

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(params=["Chromium", "Firefox"])
def new_tab(request: pytest.FixtureRequest) -> Iterator[Callable[[], Tab]]:
    """Return a function that opens an empty tab; all tabs are of one user of one browser."""
    tabs: list[Tab] = []
    if request.param == "Firefox":
        firefox: Firefox = request.getfixturevalue("firefox")
        yield lambda: tabs.append(TabOfFirefox(firefox.new_tab())) or tabs[-1]
        for tab in tabs:
            tab.close()
    else:
        chromium: Browser = request.getfixturevalue("chromium")
        with chromium.new_context() as context:
            context.add_init_script(WATCH)
            context.add_init_script(KEEP_STREAMS)
            yield lambda: TabOfChromium(context.new_page())


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Return the folder for pictures that a person may want to look at."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder

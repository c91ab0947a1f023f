"""The service as `make up` runs it, and the browsers."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from chromium_tab import ChromiumTab
from client_site import ClientSite, client_site
from client_stack import ClientStack, running_stack
from live_page import WATCH
from support.clients.chromium import running_chromium
from support.clients.firefox import Firefox, running_firefox
from support.clients.publisher import KEY
from support.servers.programs import path_of
from support.servers.service import Answering, Service
from support.servers.valkey_server import ValkeyServer
from tab import Tab, TabOfChromium, TabOfFirefox


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
def client_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientStack]:
    """Return what the tests of the client run on; each leaves it as it found it."""
    with running_stack(tmp_path_factory.mktemp("client")) as running:
        yield running


@pytest.fixture(scope="module")
def hub() -> Iterator[Service]:
    """Return a service of two workers with a Valkey."""
    with (
        ValkeyServer() as valkey,
        Service(
            token_key=KEY, broker_url=valkey.url, broker_password=valkey.password, retry_ms=100
        ) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def local_hub() -> Iterator[Service]:
    """Return a service of one worker, which has the history in its memory."""
    with Service(token_key=KEY, workers=1, retry_ms=100) as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientSite]:
    """Return a site with the client's package, and its hub."""
    with (
        Service(token_key=KEY, workers=1, subscriptions="true") as running,
        client_site(running, tmp_path_factory.mktemp("site")) as opened,
    ):
        yield opened


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
        with chromium.new_context(ignore_https_errors=True) as context:
            context.add_init_script(WATCH)
            yield lambda: TabOfChromium(context.new_page())


@pytest.fixture
def both_tabs(chromium: Browser, firefox: Firefox) -> Iterator[Callable[[], list[Tab]]]:
    """Return a function that opens an empty tab in Chromium and one in Firefox.

    What a test waits for, it so waits for once.
    """
    opened: list[Tab] = []
    with chromium.new_context(ignore_https_errors=True) as context:

        def open_both() -> list[Tab]:
            tabs: list[Tab] = [TabOfChromium(context.new_page()), TabOfFirefox(firefox.new_tab())]
            opened.append(tabs[1])
            return tabs

        yield open_both
        for tab in opened:
            tab.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Return the folder for pictures that a person may want to look at."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder

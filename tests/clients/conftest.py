"""The service with a hub of one worker, and the clients that people use."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from followers import Follow, follow_by_browser, follow_by_program
from page_scripts import EVENT_SOURCE, event_source_polyfill, fetch_event_source
from support.clients.chromium import running_chromium
from support.clients.firefox import Firefox, running_firefox
from support.clients.publisher import KEY
from support.servers.node_packages import install
from support.servers.programs import path_of
from support.servers.service import Service
from support.servers.valkey_server import ValkeyServer
from updates import LONGEST_LINE_BYTES

_HERE = Path(__file__).parent

CLIENTS = [
    "curl",
    "chromium",
    "firefox",
    "event_source_polyfill",
    "fetch_event_source",
    "httpx_sse",
    "aiohttp_sse_client",
    "eventsource",
    "eventsource_client",
]


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    """Return a client's name."""
    name: str = request.param
    return name


@pytest.fixture
def follow(client: str, request: pytest.FixtureRequest) -> Follow:
    """Return the function that follows by the client."""
    function: Follow = request.getfixturevalue(f"by_{client}")
    return function


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """Return a running valkey, so that the log outlives a worker."""
    with ValkeyServer() as running:
        yield running


@pytest.fixture(scope="session")
def service(valkey: ValkeyServer) -> Iterator[Service]:
    """Return a running service that heartbeats often and calls clients back at once."""
    with Service(
        workers=1,
        broker_url=valkey.url,
        broker_password=valkey.password,
        token_key=KEY,
        data_bytes=LONGEST_LINE_BYTES,
        heartbeat_seconds=0.2,
        retry_ms=100,
    ) as running:
        yield running


@pytest.fixture(scope="session")
def node_packages() -> None:
    """Have the packages of package-lock.json beside it."""
    install(_HERE)


# Not for the session: tests of other folders call asyncio.run.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a headless Chromium."""
    with running_chromium(path_of("chromium", "chromium")) as browser:
        yield browser


@pytest.fixture(scope="module")
def firefox() -> Iterator[Firefox]:
    """Return a headless Firefox."""
    with running_firefox(path_of("firefox-esr", "firefox-esr")) as browser:
        yield browser


@pytest.fixture
def by_curl(tmp_path: Path) -> Follow:
    """Return a function that follows by curl."""
    path_of("curl", "curl")
    return follow_by_program(sys.executable, "follow_by_curl.py", tmp_path)


@pytest.fixture
def by_httpx_sse(tmp_path: Path) -> Follow:
    """Return a function that follows by httpx-sse."""
    return follow_by_program(sys.executable, "follow_by_httpx_sse.py", tmp_path)


@pytest.fixture
def by_aiohttp_sse_client(tmp_path: Path) -> Follow:
    """Return a function that follows by aiohttp-sse-client."""
    return follow_by_program(sys.executable, "follow_by_aiohttp_sse_client.py", tmp_path)


@pytest.fixture
def by_eventsource(node_packages: None, tmp_path: Path) -> Follow:  # noqa: ARG001 (for its effect)
    """Return a function that follows by npm's eventsource."""
    return follow_by_program(path_of("node", "nodejs"), "follow_by_eventsource.mjs", tmp_path)


@pytest.fixture
def by_eventsource_client(node_packages: None, tmp_path: Path) -> Follow:  # noqa: ARG001 (as above)
    """Return a function that follows by npm's eventsource-client."""
    node = path_of("node", "nodejs")
    return follow_by_program(node, "follow_by_eventsource_client.mjs", tmp_path)


@pytest.fixture
def in_chromium(chromium: Browser) -> Iterator[Callable[[str], Follow]]:
    """Return a function of a script, which returns one that follows by it in a tab of Chromium."""
    page = chromium.new_page()
    yield partial(follow_by_browser, page.goto, page.evaluate)
    page.close()


@pytest.fixture
def by_chromium(in_chromium: Callable[[str], Follow]) -> Follow:
    """Return a function that follows by Chromium's EventSource."""
    return in_chromium(EVENT_SOURCE)


@pytest.fixture
def by_firefox(firefox: Firefox) -> Follow:
    """Return a function that follows by Firefox's EventSource."""
    return follow_by_browser(firefox.navigate, firefox.evaluate, EVENT_SOURCE)


@pytest.fixture
def by_event_source_polyfill(
    node_packages: None,  # noqa: ARG001 (as above)
    in_chromium: Callable[[str], Follow],
) -> Follow:
    """Return a function that follows by event-source-polyfill, in Chromium."""
    return in_chromium(event_source_polyfill())


@pytest.fixture
def by_fetch_event_source(
    node_packages: None,  # noqa: ARG001 (as above)
    in_chromium: Callable[[str], Follow],
) -> Follow:
    """Return a function that follows by fetch-event-source as the manual says, in Chromium."""
    return in_chromium(fetch_event_source())

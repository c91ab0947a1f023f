"""A page of a development server, which compresses what it passes on from the service."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest
from playwright.sync_api import Browser

from support.servers.programs import path_of
from support.servers.service import Answering, Service, wait_for

_HERE = Path(__file__).parent


@pytest.fixture
def development_server(
    node_packages: None,  # noqa: ARG001 (for its effect)
    program: str,
    service: Service,
) -> Iterator[Answering]:
    """Return a development server that leads to the service."""
    server = Answering()
    command = [path_of("node", "nodejs"), program, str(server.port), service.url]
    with subprocess.Popen(command, cwd=_HERE) as process:
        try:
            wait_for("the development server", server.is_listening)
            yield server
        finally:
            process.terminate()


@pytest.mark.parametrize("program", ["development_server.mjs", "webpack_development_server.mjs"])
def test_each_tick_arrives_at_once_through_a_development_server_that_compresses(
    chromium: Browser, development_server: Answering, figure: Callable[[str], None]
) -> None:
    page = chromium.new_page()
    loaded = page.goto(f"{development_server.url}/page.html")
    assert loaded is not None
    assert loaded.header_value("content-encoding") in {"br", "gzip"}
    wait_for("ten ticks", lambda: page.evaluate("lateMs.length") >= 10)
    # The first is the newest tick at that moment, up to a second old.
    late_ms = page.evaluate("lateMs")[1:]
    page.close()
    figure(f"a tick comes {median(late_ms)} ms after its second, median of {len(late_ms)}")
    assert median(late_ms) <= 500

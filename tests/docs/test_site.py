"""The manual as a site: built strictly, readable, and loading nothing from another host."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from support.clients.chromium import running_chromium
from support.manual.pages import DOCS, ROOT
from support.servers.http_server import http_server
from support.servers.node_packages import install
from support.servers.programs import path_of

HERE = Path(__file__).parent
SITE = ROOT / "site"
# The addresses that a browser loads by itself: not those of links.
_ADDRESS = r"[\"']?((?:https?:)?//[^\"' >)]+)"
LOADS = re.compile(
    rf"<(?:script|img|iframe|source|video|audio)\b[^>]*?\bsrc(?:set)?={_ADDRESS}"
    rf"|<link\b(?![^>]*rel=[\"']?(?:canonical|prev|next))[^>]*?\bhref={_ADDRESS}"
    rf"|url\({_ADDRESS}|@import {_ADDRESS}"
)
NAMES = [page.stem for page in sorted(DOCS.glob("*.md"))]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Build the site as `make docs` does, serve it, and return its address."""
    subprocess.run(["make", "--silent", "docs"], cwd=ROOT, check=True, capture_output=True)
    handler = partial(_Quiet, directory=str(SITE))
    with http_server(handler) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a headless Chromium."""
    with running_chromium(path_of("chromium", "chromium")) as browser:
        yield browser


@pytest.fixture
def tab(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Return a tab; its options may come as the test's parameter."""
    with chromium.new_context(**getattr(request, "param", {})) as context:
        yield context.new_page()


def test_every_page_is_in_the_navigation() -> None:
    config = tomllib.loads((ROOT / "zensical.toml").read_text())
    shown = [
        name
        for group in config["project"]["nav"]
        for entries in group.values()
        for entry in entries
        for name in entry.values()
    ]
    assert sorted(shown) == sorted(f"{name}.md" for name in NAMES)


def test_no_page_and_no_style_sheet_names_what_another_host_has(site: str) -> None:  # noqa: ARG001
    files = [*SITE.rglob("*.html"), *SITE.rglob("*.css"), *SITE.rglob("*.svg")]
    assert {path.name: found for path in files if (found := LOADS.findall(path.read_text()))} == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_page_asks_no_other_host_and_its_console_stays_empty(
    site: str, tab: Page, name: str
) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(f"{site}/{name}.html", wait_until="networkidle")
    assert [url for url in asked if not url.startswith((site, "data:", "blob:"))] == []
    assert complaints == []


def test_the_page_itself_forbids_other_hosts(site: str, tab: Page) -> None:
    tab.goto(f"{site}/index.html")
    loaded = tab.evaluate(
        """() => new Promise((done) => {
            const script = document.createElement("script");
            script.src = "http://localhost:1/script.js";
            document.addEventListener("securitypolicyviolation", () => done(false));
            script.onload = () => done(true);
            document.head.append(script);
        })"""
    )
    assert not loaded


@pytest.mark.parametrize("tab", [{"viewport": {"width": 320, "height": 640}}], indirect=True)
@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_320_px_does_not_scroll_sideways(site: str, tab: Page, name: str) -> None:
    tab.goto(f"{site}/{name}.html")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 320


def serious(tab: Page, options: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return what axe finds on a page that it calls serious or critical."""
    tab.evaluate((install(HERE) / "axe-core/axe.min.js").read_text())
    return [
        (each["id"], node["html"][:200], node["failureSummary"][:300])
        for each in tab.evaluate("(options) => axe.run(options)", options)["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_serious_on_a_page(site: str, tab: Page, name: str) -> None:
    tab.goto(f"{site}/{name}.html")
    assert serious(tab, {}) == []


@pytest.mark.parametrize("tab", [{"color_scheme": "dark"}], indirect=True, ids=["dark"])
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_enough_contrast_in_dark_colours(site: str, tab: Page, name: str) -> None:
    tab.goto(f"{site}/{name}.html")
    assert serious(tab, {"runOnly": ["color-contrast"]}) == []

"""What each client that the tests run needs: the table of docs/clients.md."""

import json
import re
from pathlib import Path

_HERE = Path(__file__).parent
_LOCK = _HERE.parents[1] / "requirements-dev.lock"
_NPM: dict[str, str] = json.loads((_HERE / "package.json").read_text())["dependencies"]

_NOTHING = "Nothing."
_CURSOR = "Nothing. A reload of the page forgets the id: keep it, and put it into the address."

# By the names of conftest.CLIENTS: the package, where there is one, and what it needs.
NEEDS: dict[str, tuple[str, str]] = {
    "chromium": ("`EventSource` in Chromium", _CURSOR),
    "firefox": ("`EventSource` in Firefox", _CURSOR),
    "event_source_polyfill": ("event-source-polyfill", _CURSOR),
    "fetch_event_source": (
        "@microsoft/fetch-event-source",
        "[These functions](#fetch-event-source).",
    ),
    "eventsource": ("eventsource", _NOTHING),
    "eventsource_client": ("eventsource-client", _NOTHING),
    "httpx_sse": ("httpx-sse", "[A loop](#httpx-sse)."),
    "aiohttp_sse_client": (
        "aiohttp-sse-client",
        "[A loop](#aiohttp-sse-client) for connections that break.",
    ),
    "curl": ("curl", "A loop, and the last id in `Last-Event-ID`."),
}


def _version(package: str) -> str:
    if package in _NPM:
        return _NPM[package]
    found = re.search(rf"(?m)^{re.escape(package)}==(\S+)", _LOCK.read_text())
    return found[1] if found else ""


def table() -> str:
    """Return the table in Markdown."""
    lines = ["| Client | Version tested | What it needs |", "| --- | --- | --- |"]
    for name, need in NEEDS.values():
        lines.append(f"| {name} | {_version(name) or 'that of Debian'} | {need} |")
    return "\n".join(lines) + "\n"

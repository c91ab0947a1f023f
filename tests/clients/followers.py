"""Clients that follow a topic, each in its own process, and what they report."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from relay import STREAM_PATH
from service import Answering
from updates import Received

_HERE = Path(__file__).parent

# A page's script cannot be a module here: the service's pages forbid scripts of others.
_FOLLOW = (_HERE / "event_source.mjs").read_text().replace("export function", "function")


@dataclass
class Follower:
    """A client that runs.

    Attributes:
        read: Returns what it has reported since the last call.
    """

    read: Callable[[], list[dict[str, Any]]]
    _reports: list[dict[str, Any]] = field(default_factory=list)

    def _update(self) -> list[dict[str, Any]]:
        self._reports += self.read()
        return self._reports

    def is_open(self) -> bool:
        """Return whether its stream was opened."""
        return any("open" in report for report in self._update())

    def received(self) -> list[Received]:
        """Return the events that it has dispatched."""
        return [Received(**report) for report in self._update() if "open" not in report]


# Called with the service, or the line to it; the topic; and the types that it listens for.
Follow = Callable[[Answering, str, list[str]], AbstractContextManager[Follower]]


def _stream_url(service: Answering, topic: str) -> str:
    return f"{service.url}{STREAM_PATH}?topic={quote(topic)}"


def follow_by_program(program: str, script: str, folder: Path) -> Follow:
    """Return a function that follows by a script of this folder; it writes into another one."""
    return partial(_run, [program, str(_HERE / script)], folder)


@contextmanager
def _run(
    command: list[str], folder: Path, service: Answering, topic: str, types: list[str]
) -> Iterator[Follower]:
    reports, errors = folder / "reports", folder / "errors"
    with reports.open("wb") as output, errors.open("wb") as error_output:
        process = subprocess.Popen(
            [*command, _stream_url(service, topic), json.dumps(types)],
            stdout=output,
            stderr=error_output,
        )
    with reports.open("rb") as source:

        def read() -> list[dict[str, Any]]:
            assert process.poll() is None, errors.read_text()
            *lines, begun = source.read().split(b"\n")
            source.seek(-len(begun), 1)
            return [json.loads(line) for line in lines]

        try:
            yield Follower(read)
        finally:
            process.terminate()
            process.wait(10)


def follow_by_browser(navigate: Callable[[str], Any], evaluate: Callable[[str], Any]) -> Follow:
    """Return a function that follows in a browser's tab."""
    return partial(_browse, navigate, evaluate)


@contextmanager
def _browse(
    navigate: Callable[[str], Any],
    evaluate: Callable[[str], Any],
    service: Answering,
    topic: str,
    types: list[str],
) -> Iterator[Follower]:
    # A page of the same origin that has no stream of its own.
    navigate(f"{service.url}/healthz")
    url = _stream_url(service, topic)
    evaluate(f"""(() => {{
        {_FOLLOW}
        globalThis.reports = [];
        const tell = (report) => reports.push(report);
        globalThis.source = follow(EventSource, {json.dumps(url)}, {json.dumps(types)}, tell);
        return true;
    }})()""")
    yield Follower(lambda: evaluate("reports.splice(0)"))
    evaluate("source.close() ?? true")

"""Clients that follow a stream, each in its own process, and what they report."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin

from relay import STREAM_PATH
from support.servers.service import Answering, wait_for
from updates import Received

_HERE = Path(__file__).parent


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

    @property
    def opened(self) -> int:
        """How often its stream was opened."""
        return sum("open" in report for report in self._update())

    def is_closed(self) -> bool:
        """Return whether it says that it will not come back."""
        return any("closed" in report for report in self._update())

    def received(self) -> list[Received]:
        """Return the events that it has dispatched."""
        return [Received(**report) for report in self._update() if "type" in report]

    def received_up_to(self, last: Received) -> list[Received]:
        """Return the events that it has dispatched once a last one is there."""

        def is_complete() -> bool:
            received = self.received()
            return bool(received) and received[-1].id == last.id

        wait_for("the last event", is_complete)
        return self.received()


# Called with a stream's address, and the types of the events that the client listens for.
Follow = Callable[[str, list[str]], AbstractContextManager[Follower]]


def stream_url(service: Answering, topic: str, last_event_id: str = "") -> str:
    """Return the address of a topic's stream.

    Args:
        service: The service, or the line to it.
        topic: What is followed.
        last_event_id: The cursor of a page, where it has one.
    """
    cursor = {"lastEventID": last_event_id} if last_event_id else {}
    return f"{service.url}{STREAM_PATH}?{urlencode({'topic': topic, **cursor})}"


def follow_by_program(program: str, script: str, folder: Path) -> Follow:
    """Return a function that follows by a script of this folder; it writes into another one."""
    return partial(_run, [program, str(_HERE / script)], folder)


@contextmanager
def _run(command: list[str], folder: Path, url: str, types: list[str]) -> Iterator[Follower]:
    reports, errors = folder / "reports", folder / "errors"
    with reports.open("wb") as output, errors.open("wb") as error_output:
        process = subprocess.Popen(
            [*command, url, json.dumps(types)], stdout=output, stderr=error_output
        )
    with reports.open("rb") as source:

        def read() -> list[dict[str, Any]]:
            # Node.js ends where it has nothing left to do.
            assert process.poll() in {None, 0}, errors.read_text()
            *lines, begun = source.read().split(b"\n")
            source.seek(-len(begun), 1)
            return [json.loads(line) for line in lines]

        try:
            yield Follower(read)
        finally:
            process.terminate()
            process.wait(10)


def follow_by_browser(
    navigate: Callable[[str], Any], evaluate: Callable[[str], Any], script: str
) -> Follow:
    """Return a function that follows in a browser's tab, by one of page_scripts.py."""
    return partial(_browse, navigate, evaluate, script)


@contextmanager
def _browse(
    navigate: Callable[[str], Any],
    evaluate: Callable[[str], Any],
    script: str,
    url: str,
    types: list[str],
) -> Iterator[Follower]:
    # A page of the same origin that has no stream of its own.
    navigate(urljoin(url, "/healthz"))
    evaluate(f"""(() => {{
        globalThis.reports = [];
        const tell = (report) => reports.push(report);
        globalThis.source = ({script})({json.dumps(url)}, {json.dumps(types)}, tell);
        return true;
    }})()""")
    yield Follower(lambda: evaluate("reports.splice(0)"))
    evaluate("source.close() ?? true")

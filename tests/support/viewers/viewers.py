"""Viewers beside a test that is not asynchronous: it waits for programs."""

import concurrent.futures
import threading
from collections.abc import Sequence

import uvloop

from support.viewers.report import Report
from support.viewers.show import Plan, Show


class Viewers:
    """Streams and publishers on a service, in a thread, from the context's begin to ``leave``.

    The test's own thread waits for programs, and leaves the interpreter to them. Each argument is
    an attribute of Plan.
    """

    def __init__(
        self,
        url: str,
        streams: int = 500,
        events_per_second: float = 50,
        topics: Sequence[str] = ("https://viewers.example/news",),
        bearer: str | None = None,
    ) -> None:
        self._show = Show(Plan(url, streams, events_per_second, topics, bearer))
        self._live = concurrent.futures.Future[None]()
        self._leaving = threading.Event()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "viewers")
        self._watching = concurrent.futures.Future[None]()

    def __enter__(self) -> "Viewers":
        """Return once everybody is there, and has been brought an event."""
        self._watching = self._thread.submit(self._watch)
        concurrent.futures.wait([self._live, self._watching], return_when="FIRST_COMPLETED")
        if self._watching.done():
            self._watching.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.shutdown()

    def leave(self) -> Report:
        """End the publishing, wait until everybody has the last event, and return the report."""
        self._leaving.set()
        self._watching.result()
        return Report.of(self._show)

    def _watch(self) -> None:
        uvloop.run(self._show.run(lambda: self._live.set_result(None), self._wait))

    def _wait(self) -> None:
        self._leaving.wait()

"""Shows the progress of a load on a terminal."""

import sys
from contextlib import ExitStack
from typing import Any

import click

from barestream_load.plan import Plan
from barestream_load.run import Watcher

_WIDTH = 24


class ProgressBar(Watcher):
    """A bar for the opening of the streams, and one for the time after it; a context.

    It prints nothing if standard error is not a terminal.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._bars = ExitStack()
        self._bar: Any = None
        self._label = ""

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.close()

    def opening(self, settled: int, streams: int) -> None:
        """Show how many streams were opened, or failed to open."""
        self._show("opening", streams, settled, f"{settled:,} of {streams:,} streams")

    def streaming(self, elapsed_seconds: float, open_streams: int, events: int) -> None:
        """Show the time, the open streams and the events."""
        seconds = self._plan.seconds
        what = f"{elapsed_seconds:.0f} of {seconds:g} s, {open_streams:,} open, {events:,} events"
        self._show("streaming", round(10 * seconds), round(10 * elapsed_seconds), what)

    def _show(self, label: str, length: int, done: int, what: str) -> None:
        if label != self._label:
            self._bars.close()
            bar = click.progressbar(
                length=length,
                label=f"{label:<9}",
                width=_WIDTH,
                show_eta=False,
                show_percent=False,
                item_show_func=lambda said: said or "",
                file=sys.stderr,
                hidden=not sys.stderr.isatty(),
            )
            self._bar = self._bars.enter_context(bar)
            self._label = label
        self._bar.update(min(done, length) - self._bar.pos, what)

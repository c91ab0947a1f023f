"""Shows on a terminal what is probed, and how much of its time is over."""

import asyncio
import sys
import time
from contextlib import ExitStack
from typing import Any, Self

import click

_LOOK_SECONDS = 0.2
_WIDTH = 24


class ProgressBar:
    """A bar of time for each part of an examination; an asynchronous context.

    It prints nothing if standard error is not a terminal.
    """

    def __init__(self) -> None:
        self._bars = ExitStack()
        self._bar: Any = None
        self._seconds = 0.0
        self._began_at = 0.0
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if sys.stderr.isatty():
            self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        self._bars.close()

    def told(self, what: str, seconds: float) -> None:
        """Begin a part, which takes about so long."""
        if self._ticking is None:
            return
        self._bars.close()
        bar = click.progressbar(
            length=round(seconds / _LOOK_SECONDS),
            label=what,
            width=_WIDTH,
            show_eta=False,
            show_percent=False,
            item_show_func=lambda said: said or "",
            file=sys.stderr,
        )
        self._bar = self._bars.enter_context(bar)
        self._seconds, self._began_at = seconds, time.monotonic()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._bar is not None:
                elapsed_seconds = time.monotonic() - self._began_at
                done = min(round(elapsed_seconds / _LOOK_SECONDS), self._bar.length)
                said = f"{elapsed_seconds:.0f} of about {self._seconds:.0f} s"
                self._bar.update(done - self._bar.pos, said)

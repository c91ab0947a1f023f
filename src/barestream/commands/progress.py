"""Shows on a terminal how far a command has come."""

import itertools
import sys
import time
from typing import Any, Self

import click

# More often nobody sees, and each time costs as much as some lines.
_SHOWN_SECONDS = 0.1


class ProgressBar:
    """A bar on standard error; a context. It prints nothing there if that is no terminal.

    Args:
        label: What is done.
        whole: What ``add`` adds up to; None if nobody knows: then it shows the sum alone.
        is_shown: Whether it is of use.
    """

    def __init__(self, label: str, whole: int | None, *, is_shown: bool = True) -> None:
        self._bar: Any = click.progressbar(
            # Of this click learns no length.
            itertools.count() if whole is None else None,
            whole,
            label=label,
            show_pos=whole is None,
            file=sys.stderr,
            hidden=not is_shown or not sys.stderr.isatty(),
        )
        self._added = 0
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._bar.update(self._added)
        self._bar.__exit__(*failure)

    def add(self, count: int) -> None:
        """Show that it has come further."""
        self._added += count
        now = time.monotonic()
        if now >= self._shown_at + _SHOWN_SECONDS:
            self._shown_at = now
            self._bar.update(self._added)
            self._added = 0

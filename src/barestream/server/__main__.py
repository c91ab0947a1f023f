"""Gunicorn's command with the master of this project.

It is run as ``python -m barestream.server -c python:MODULE``.
"""

import sys

from gunicorn.app.base import BaseApplication

from barestream.server.arbiter import SlotArbiter
from barestream.server.gunicorn_parts import WSGIApplication


class _Run(BaseApplication):  # type: ignore[misc]  # Gunicorn has no types
    """Runs this project's master, in place of Gunicorn's Arbiter."""

    def run(self) -> None:
        try:
            SlotArbiter(self).run()
        except RuntimeError as error:
            sys.exit(f"barestream: {error}")


class _Service(WSGIApplication, _Run):  # type: ignore[misc]  # Gunicorn has no types
    """Gunicorn's command: it reads the options, then runs as _Run does."""


if __name__ == "__main__":
    _Service("%(prog)s [OPTIONS]").run()

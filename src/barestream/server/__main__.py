"""Gunicorn's command with our master: ``python -m barestream.server -c python:MODULE``."""

import sys

from gunicorn.app.base import BaseApplication

from barestream.server.arbiter import SlotArbiter
from barestream.server.gunicorn_parts import WSGIApplication


class _Run(BaseApplication):  # type: ignore[misc]  # Gunicorn has no types
    """Runs our master, where Gunicorn's own class would run its Arbiter."""

    def run(self) -> None:
        try:
            SlotArbiter(self).run()
        except RuntimeError as error:
            sys.exit(f"barestream: {error}")


class _Service(WSGIApplication, _Run):  # type: ignore[misc]  # Gunicorn has no types
    """Gunicorn's command: it reads the options, then runs as _Run does."""


if __name__ == "__main__":
    _Service("%(prog)s [OPTIONS]").run()

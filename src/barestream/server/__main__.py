"""Gunicorn's command with our master: ``python -m barestream.server -c python:MODULE``."""

import sys

from gunicorn.app.base import BaseApplication
from gunicorn.app.wsgiapp import WSGIApplication

from barestream.server.arbiter import SlotArbiter


class _Run(BaseApplication):  # type: ignore[misc]  # Gunicorn has no types
    """The last step of Gunicorn's command, which names its master itself."""

    def run(self) -> None:
        try:
            SlotArbiter(self).run()
        except RuntimeError as error:
            sys.exit(f"barestream: {error}")


class _Service(WSGIApplication, _Run):  # type: ignore[misc]  # Gunicorn has no types
    """Reads Gunicorn's options, and runs."""


if __name__ == "__main__":
    _Service("%(prog)s [OPTIONS]").run()

"""The command ``barestream serve``."""

import os
import sys
import tempfile
from collections.abc import Iterator

import click

from barestream.commands.token import settings_or_exit
from barestream.settings.settings import Settings
from barestream.telemetry.metrics_folder import METRICS_FOLDER

_CONFIG = "python:barestream.server.config"


@click.command()
def serve() -> None:
    """Run the service: Gunicorn, with the settings of the environment.

    \b
    BARESTREAM_BIND=127.0.0.1:9009 BARESTREAM_WORKERS=1 barestream serve

    It is made to run behind nginx, with Valkey; `barestream dev` needs neither.
    """
    if lacks := ", ".join(missing(settings_or_exit())):
        click.echo(f"serve runs without {lacks}. To try barestream out: barestream dev", err=True)
    # prometheus_client reads the variable when it is imported, before Gunicorn's configuration
    # could set it. That configuration removes the folder at the end.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=METRICS_FOLDER)
    os.execvp(sys.executable, [sys.executable, "-m", "barestream.server", "-c", _CONFIG])  # noqa: S606


def missing(found: Settings) -> Iterator[str]:
    """Yield what a service in production has, and this one has not."""
    if not found.bind and not os.access(_existing(found), os.W_OK | os.X_OK):
        yield (
            f"a folder for the sockets that nginx connects to ({found.socket_dir} cannot be "
            "written: set BARESTREAM_SOCKET_DIR, or BARESTREAM_BIND to do without nginx)"
        )
    if not (found.token_key or found.issuers):
        yield "a key for tokens, so publishing is off (BARESTREAM_TOKEN_KEY)"
    if found.has_local_broker:
        yield "Valkey, so a restart loses the history (BARESTREAM_BROKER_URL)"


def _existing(found: Settings) -> str:
    """Return the folder of the sockets, or the nearest one above it that exists."""
    folder = found.socket_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return str(folder)

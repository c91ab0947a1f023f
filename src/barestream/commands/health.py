"""The command ``barestream health``."""

import sys

import click

from barestream.commands.token import settings_or_exit
from barestream.server.readiness import unready, unready_at
from barestream.server.socket_folder import SocketFolder


@click.command()
def health() -> None:
    """Check that each worker of the running service is ready for streams.

    \b
    BARESTREAM_BIND=127.0.0.1:9009 barestream health
    """
    found = settings_or_exit("bind", "socket_dir", "instance", "workers")
    if found.bind:
        problems = unready_at(found.bind)
    else:
        problems = unready(SocketFolder(found.socket_dir, found.instance, found.workers).sockets)
    if problems:
        sys.exit("\n".join(problems))

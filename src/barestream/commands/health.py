"""The command ``barestream health``."""

import sys

import click

from barestream.commands.printable import printable
from barestream.commands.token import settings_or_exit
from barestream.server.readiness import ALIVE, READY, unready, unready_at
from barestream.server.socket_folder import SocketFolder


@click.command()
@click.option(
    "--alive",
    is_flag=True,
    help="Check only that each worker answers, whether or not it reaches Valkey.",
)
def health(alive: bool) -> None:
    """Check that each worker of the running service is ready for streams.

    \b
    BARESTREAM_BIND=127.0.0.1:9009 barestream health
    """
    found = settings_or_exit("bind", "socket_dir", "instance", "workers")
    path = ALIVE if alive else READY
    if found.bind:
        problems = unready_at(found.bind, path)
    else:
        folder = SocketFolder(found.socket_dir, found.instance, found.workers)
        problems = unready(folder.sockets, path)
    if problems:
        # What answers there may be another server.
        sys.exit("\n".join(map(printable, problems)))

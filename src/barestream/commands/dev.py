"""The command ``barestream dev``."""

import asyncio
import logging.config
import os
import secrets
import socket
import sys
import time

import click
import uvicorn
import uvloop

from barestream.app import create_app
from barestream.commands.token import settings_or_exit
from barestream.mercure.keys import InvalidKeyError
from barestream.mercure.tokens import sign
from barestream.mercure.topics import PATH
from barestream.server.open_files import most_connections, raise_limit
from barestream.server.protocol import Protocol
from barestream.server.server import DrainingServer
from barestream.settings.settings import Settings
from barestream.telemetry.logs import log_config

# What differs from a service in production; the environment wins.
_DEFAULTS = {
    "BARESTREAM_BIND": "127.0.0.1:9009",
    "BARESTREAM_WORKERS": "1",
    "BARESTREAM_LOG_LEVEL": "warning",
    # Who restarts the hub all day waits for each drain.
    "BARESTREAM_DRAIN_SECONDS": "0",
}

# How soon after its start the hub says so.
_LOOK_SECONDS = 0.01

_TOKEN_SECONDS = 7 * 24 * 3600


@click.command()
def dev() -> None:
    """Run a hub on this machine, to develop with: one process, its history in memory.

    \b
    barestream dev
    BARESTREAM_BIND=127.0.0.1:8000 barestream dev

    It needs neither nginx nor Valkey nor root, and prints a token and what to do with it. Each
    setting of the environment holds.
    """
    for name, value in _DEFAULTS.items():
        os.environ[name] = os.environ.get(name) or value
    has_key_of_its_own = _make_key()
    found = settings_or_exit()
    if found.workers > 1:
        sys.exit("BARESTREAM_WORKERS: dev is one process; for several workers: barestream serve")
    listener = _listening(str(found.bind))
    raise_limit()
    logging.config.dictConfig(log_config(found.log_level))
    config = uvicorn.Config(
        create_app(found), http=Protocol, ws="none", log_config=None, server_header=False
    )
    server = DrainingServer(config, found.slow_seconds)
    server.server_state.most_connections = most_connections()
    if not uvloop.run(_served(server, listener, _welcome(found, has_key_of_its_own))):
        sys.exit(1)


async def _served(server: DrainingServer, listener: socket.socket, welcome: str) -> bool:
    """Serve until a signal comes; return whether the server has started."""
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(_LOOK_SECONDS)
    if server.started:
        click.echo(welcome)
    await serving
    return server.started


def _make_key() -> bool:
    """Make a key where there is none; return whether it was made."""
    names = ("BARESTREAM_TOKEN_KEY", "BARESTREAM_TOKEN_KEY_FILE", "BARESTREAM_ISSUERS")
    if any(map(os.environ.get, names)):
        return False
    os.environ["BARESTREAM_TOKEN_KEY"] = secrets.token_hex(32)
    return True


def _listening(bind: str) -> socket.socket:
    """Return the socket that listens; exit with the reason if there is none."""
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    try:
        return socket.create_server(
            (host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        sys.exit(
            f"BARESTREAM_BIND={bind}: this address cannot be used ({error.strerror}). "
            "Another program may use it: choose another port."
        )


def _welcome(found: Settings, has_key_of_its_own: bool) -> str:
    """Return what a developer does next."""
    site = f"http://{found.bind}"
    token = _token(found)
    lines = [f"barestream runs at {site}; Ctrl+C ends it.", ""]
    lines += [f"  the page       {site}/"]
    lines += [f"  the hub        {site}{PATH}"]
    lines += [f"  subscribe      curl -N '{site}{PATH}?topic=news'"]
    if token:
        lines += [
            "  publish        curl -d topic=news -d data=Hello "
            '-H "Authorization: Bearer $BARESTREAM_TOKEN" '
            f"{site}{PATH}",
            "",
            "In another shell, for these lines and for `barestream publish` and `barestream tail`:",
            "",
            f"  export BARESTREAM_URL={site}",
            f"  export BARESTREAM_TOKEN={token}",
        ]
    if has_key_of_its_own:
        key = os.environ["BARESTREAM_TOKEN_KEY"]
        lines += [
            "",
            "The key is another one at each start. To keep this one, set it for `dev`:",
            "",
        ]
        lines += [f"  export BARESTREAM_TOKEN_KEY={key}"]
    if found.has_local_broker:
        lines += ["", "The history is in memory: it ends with this process."]
    return "\n".join(lines)


def _token(found: Settings) -> str | None:
    """Return a token for everything; None if the key can only verify tokens."""
    if found.token_key is None:
        return None
    key = found.token_key.get_secret_value()
    try:
        end = time.time() + _TOKEN_SECONDS
        return sign(key, found.token_algorithm, ["*"], ["*"], end, operate=True)
    except InvalidKeyError:
        return None

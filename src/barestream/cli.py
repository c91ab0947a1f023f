"""The command ``barestream``."""

import os
import sys
import tempfile
import time
from pathlib import Path

import click

from barestream.metrics import METRICS_FOLDER
from barestream.server.readiness import unready, unready_at
from barestream.server.socket_folder import SocketFolder
from barestream.settings import Row, Settings, SettingsError, load, rows
from barestream.tokens import InvalidKeyError, sign

_CONFIG = "python:barestream.server.config"


@click.group()
@click.version_option(package_name="barestream")
def main() -> None:
    """Live events to browsers over Server-Sent Events."""


@main.command()
def serve() -> None:
    """Run the service: Gunicorn, with the settings of the environment."""
    _checked_settings()
    # prometheus_client asks for it when it is imported: too early for Gunicorn's configuration,
    # which removes it at the end.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=METRICS_FOLDER)
    os.execvp(sys.executable, [sys.executable, "-m", "gunicorn", "-c", _CONFIG])  # noqa: S606


@main.command()
def health() -> None:
    """Ask each worker of the running service whether it takes streams."""
    found = _checked_settings()
    if found.bind:
        problems = unready_at(found.bind)
    else:
        problems = unready(SocketFolder(found.socket_dir, found.instance, found.workers).sockets)
    if problems:
        sys.exit("\n".join(problems))


@main.command()
@click.option("--publish", multiple=True, metavar="SELECTOR", help="Topics to publish to.")
@click.option("--subscribe", multiple=True, metavar="SELECTOR", help="Private topics to read.")
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="How long it is valid."
)
@click.option("--key-file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def token(
    publish: tuple[str, ...],
    subscribe: tuple[str, ...],
    minutes: float | None,
    key_file: Path | None,
) -> None:
    """Make a token, signed with BARESTREAM_TOKEN_KEY or the private key in --key-file.

    A SELECTOR is a topic, a URI template or *; each option can be given several times.
    """
    found = _checked_settings()
    if key_file:
        key = key_file.read_text().rstrip("\r\n")
    elif found.token_key:
        key = found.token_key.get_secret_value()
    else:
        sys.exit("There is no key: set BARESTREAM_TOKEN_KEY, or give --key-file.")
    expires_at = time.time() + 60 * minutes if minutes else None
    try:
        click.echo(sign(key, found.token_algorithm, publish, subscribe, expires_at))
    except InvalidKeyError as error:
        sys.exit(f"This key cannot sign: {error}")


@main.command()
@click.option("--env", "as_env", is_flag=True, help="As an .env file, each line a comment.")
def settings(as_env: bool) -> None:
    """Print every setting: name, type, default, unit, help."""
    click.echo(_env_file() if as_env else _table())


def _checked_settings() -> Settings:
    try:
        return load()
    except SettingsError as error:
        sys.exit(str(error))


def _table() -> str:
    lines = [
        f"| {' | '.join(title.capitalize() for title in Row._fields)} |",
        f"|{' --- |' * len(Row._fields)}",
    ]
    for row in rows():
        cells = (f"`{row.variable}`", *row[1:])
        lines.append(f"| {' | '.join(cell.strip() for cell in cells)} |")
    return "\n".join(lines)


def _env_file() -> str:
    entries = []
    for row in rows():
        kind = f"{row.type}, {row.unit}" if row.unit else row.type
        entries.append(f"# {row.help} ({kind})\n#{row.variable}={row.default}\n")
    return "\n".join(entries).rstrip()

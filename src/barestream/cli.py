"""The command ``barestream``."""

import os
import sys

import click

from barestream.server.readiness import unready, unready_at
from barestream.server.socket_folder import SocketFolder
from barestream.settings import Row, Settings, SettingsError, load, rows

_CONFIG = "python:barestream.server.config"


@click.group()
@click.version_option(package_name="barestream")
def main() -> None:
    """Live events to browsers over Server-Sent Events."""


@main.command()
def serve() -> None:
    """Run the service: Gunicorn, with the settings of the environment."""
    _checked_settings()
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

"""The command ``barestream settings``."""

import os
import sys
from pathlib import Path

import click

from barestream.commands.token import settings_or_exit
from barestream.settings import env_file
from barestream.settings.doubts import doubts
from barestream.settings.settings import of_nginx
from barestream.settings.table import as_env_file, as_markdown


@click.command()
@click.option("--env", "as_env", is_flag=True, help="Print an .env file, all of it comments.")
@click.option("--check", is_flag=True, help="Only check the settings of the environment.")
@click.option(
    "--nginx",
    "as_nginx",
    is_flag=True,
    help="Print the settings that nginx uses, with their values.",
)
@click.option(
    "--env-file",
    "also",
    type=click.Path(exists=True, dir_okay=False, allow_dash=False, path_type=Path),
    help="With --check, also report names in this file that are not settings.",
)
def settings(as_env: bool, check: bool, as_nginx: bool, also: Path | None) -> None:
    """Print every setting: name, type, default, unit, help.

    \b
    barestream settings
    barestream settings --check
    barestream settings --env > example.env
    """
    if as_nginx:
        click.echo(of_nginx(settings_or_exit()), nl=False)
    elif check:
        try:
            written = dict.fromkeys(env_file.names(also), "") if also else {}
        except env_file.EnvFileError as error:
            sys.exit(str(error))
        for sentence in doubts(settings_or_exit(), written | dict(os.environ)):
            click.echo(sentence, err=True)
    else:
        click.echo(as_env_file() if as_env else as_markdown())

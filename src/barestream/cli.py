"""The command ``barestream``."""

import os
import sys

import click

from barestream.commands.lazy_group import Lazy, LazyGroup

_CLIENT = "Use a hub"
_SERVICE = "Run a hub"

# These need a URL and a token, and none of the settings of the service.
OF_CLIENTS = {"publish", "tail", "why", "context", "doctor", "smoke", "top"}

_COMMANDS = {
    "dev": Lazy("dev", _SERVICE, "Run a hub on this machine, to develop with."),
    "serve": Lazy("serve", _SERVICE, "Run the service: Gunicorn, by the environment's settings."),
    "health": Lazy("health", _SERVICE, "Check that each worker is ready for streams."),
    "probe": Lazy("probe", _SERVICE, "Check that the broker answers and accepts updates."),
    "settings": Lazy("settings", _SERVICE, "Print every setting: name, type, default, unit, help."),
    "token": Lazy("token", _SERVICE, "Make a token, or explain one."),
    "publish": Lazy("publish", _CLIENT, "Publish an update, or one for each line."),
    "tail": Lazy("tail", _CLIENT, "Print the events of topics as they come."),
    "top": Lazy("top", _CLIENT, "Show what a hub and its workers do, each second."),
    "why": Lazy("why", _CLIENT, "Say why somebody gets an update, or does not."),
    "context": Lazy("context", _CLIENT, "Name hubs, with their URL and token."),
    "revoke": Lazy("revoke", _CLIENT, "Revoke tokens, list what is revoked, or take one back."),
    "smoke": Lazy("smoke", _CLIENT, "Check that a hub is ready, delivers and replays."),
    "doctor": Lazy("doctor", _CLIENT, "Find out what holds a stream's events back, or cuts them."),
    "load": Lazy("load", _CLIENT, "Hold many streams open, and report what they received."),
}


def _show_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if not is_asked or ctx.resilient_parsing:
        return
    from barestream.release import release  # noqa: PLC0415 (it takes time)

    click.echo(f"barestream, version {release() or 'of a checkout'}")
    ctx.exit()


@click.group(cls=LazyGroup, lazy=_COMMANDS)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Live events to browsers over Server-Sent Events.

    \b
    barestream dev
    barestream publish news Hello
    barestream tail news

    Settings are BARESTREAM_* variables of the environment, or of the file .env in this folder.
    """
    # --help works even if the file cannot be read.
    if "--help" in sys.argv or ctx.invoked_subcommand in OF_CLIENTS:
        return
    from barestream.settings import env_file  # noqa: PLC0415 (it takes time)

    try:
        env_file.complete(os.environ)
    except (env_file.EnvFileError, OSError) as error:
        sys.exit(str(error))

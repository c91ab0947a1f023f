"""A group of commands that imports a command only when it is called."""

import errno
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import click

from barestream.commands import exits
from barestream.commands.printable import printable


class Lazy(NamedTuple):
    """A command that is not imported yet.

    Attributes:
        name: Its name in its module.
        section: The section of the help that it is in.
        help: Its line in the help.
    """

    name: str
    section: str
    help: str


class LazyGroup(click.Group):
    """Its help imports no command, and each failure is one line and an exit code of its own."""

    def __init__(self, *arguments: Any, lazy: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of the help."""
        added = [name for name in super().list_commands(ctx) if name not in self.lazy]
        return [*self.lazy, *added]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None for an unknown one."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        name = self.lazy[cmd_name].name
        module = import_module(f"barestream.commands.{name}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their sections."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            if name in self.lazy:
                _, section, text = self.lazy[name]
            elif (command := super().get_command(ctx, name)) is not None:
                section, text = "Others", command.get_short_help_str(limit=80)
            sections.setdefault(section, []).append((name, text))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Read the command line; --help and --version write here."""
        with _failing_with_codes():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Call a command, and end with the exit code of its failure."""
        if "NO_COLOR" in os.environ:
            ctx.color = False
        with _failing_with_codes():
            return super().invoke(ctx)


@contextmanager
def _failing_with_codes() -> Iterator[None]:
    """Say a failure in one line, and exit with its code."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(exits.INTERRUPTED)
    except OSError as error:
        _drop_output()
        if error.errno == errno.EPIPE:
            click.echo("Who read the output has closed it.", err=True)
            sys.exit(exits.CLOSED_PIPE)
        of_file = f"{error.filename}: " if error.filename else ""
        click.echo(f"Error: {of_file}{error.strerror or error}", err=True)
        sys.exit(1)
    except Exception as error:
        code = exits.code_of(error)
        if code is None:
            raise
        notes = " ".join(getattr(error, "__notes__", ()))
        # It may quote what a server has answered.
        click.echo(printable(f"Error: {error}{' ' if notes else ''}{notes}"), err=True)
        sys.exit(code)


def _drop_output() -> None:
    """Drop what cannot be written, of which Python would complain at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

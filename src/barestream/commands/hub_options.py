"""The options by which a command finds its hub."""

from collections.abc import Callable
from typing import Any, NamedTuple

import click

from barestream.commands.contexts import Contexts
from barestream.commands.printable import printable
from barestream_client.answers import AwayError

# The hub of `barestream dev`.
DEFAULT_URL = "http://127.0.0.1:9009"

_Command = Callable[..., Any]


class ChosenHub(NamedTuple):
    """The hub of a command.

    Attributes:
        url: Its URL.
        token: The token; None for none.
        retry_seconds: How long to try while the hub is away.
    """

    url: str
    token: str | None
    retry_seconds: float

    def options(self) -> dict[str, Any]:
        """Return the arguments of a Hub or a SyncHub."""
        return {
            "url": self.url,
            "token": self.token,
            "patience_seconds": self.retry_seconds,
            "on_away": Complaint(self.retry_seconds),
        }


class Complaint:
    """Says once on standard error that a hub is away, and that it is tried again."""

    def __init__(self, retry_seconds: float) -> None:
        self._retry_seconds = retry_seconds
        self._said = ""

    def __call__(self, error: AwayError, wait_seconds: float) -> None:
        # The first wait is under a second, and most failures are over by then.
        if wait_seconds > 0.3 and str(error) != self._said:
            self._said = str(error)
            words = f"{error}; trying again for {self._retry_seconds:g} s"
            click.echo(printable(words), err=True)


def address_options(command: _Command) -> _Command:
    """Give a command the options that say which hub it uses, for ``chosen``."""
    for option in reversed(
        [
            click.option(
                "--url",
                envvar="BARESTREAM_URL",
                help="The hub's URL, or that of its site.  [default: that of the context, or "
                f"{DEFAULT_URL}]",
            ),
            click.option(
                "--token",
                envvar="BARESTREAM_TOKEN",
                help="The token.  [default: that of the context, if the URL is too]",
            ),
            click.option(
                "--context",
                envvar="BARESTREAM_CONTEXT",
                metavar="NAME",
                help="The context with URL and token.  [default: the one in use]",
            ),
        ]
    ):
        command = option(command)
    return command


def hub_options(command: _Command) -> _Command:
    """Give a command all options of a hub, which ``chosen`` reads."""
    retry_seconds = click.option(
        "--retry-seconds",
        type=click.FloatRange(0, 86_400),
        default=30,
        show_default=True,
        help="How long to try again while the hub is away.",
    )
    return address_options(retry_seconds(command))


def chosen(
    url: str | None, token: str | None, context: str | None, retry_seconds: float
) -> ChosenHub:
    """Return the hub that the options name.

    A token of a context goes to the URL of that context alone.

    Raises:
        UsageError: There is no such context.
    """
    if context is None and url is not None:
        return ChosenHub(url, token, retry_seconds)
    contexts = Contexts()
    name = context or contexts.current
    if name is None:
        return ChosenHub(DEFAULT_URL, token, retry_seconds)
    named = contexts.named(name)
    if url is not None and url != named.url:
        raise click.UsageError(
            f"The context {name!r} is of {named.url}: give either --context or --url {url}."
        )
    return ChosenHub(named.url, token or named.token, retry_seconds)

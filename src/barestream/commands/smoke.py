"""The command ``barestream smoke``."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from barestream.commands import exits
from barestream.commands.hub_options import ChosenHub, chosen, hub_options
from barestream.commands.printable import printable
from barestream.commands.smoke_steps import MORE_RIGHTS, READ_THE_LOG, FailedError, Smoke
from barestream_client.address import HubError

# What to do about an answer of the hub, by the exit code.
_REMEDIES = {
    exits.NO_HUB: "Check that it is the URL of the hub, or of its site. If its certificate is of a "
    "private CA, name that CA's certificate in SSL_CERT_FILE.",
    exits.AWAY: f"Check that the service runs, and that this machine reaches it. {READ_THE_LOG}",
    exits.NO_RIGHT: MORE_RIGHTS,
}


@click.command()
@click.option("--require-publish", is_flag=True, help="Fail if there is no token.")
@click.option(
    "--subscriber-token",
    envvar="BARESTREAM_SUBSCRIBER_TOKEN",
    help="The token that reads, if tokens of subscribers have another key.  "
    "[default: BARESTREAM_SUBSCRIBER_TOKEN, or the token]",
)
@click.option(
    "--unix",
    type=click.Path(exists=True, path_type=Path),
    help="A unix socket to connect to in place of the URL's host.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@hub_options
def smoke(
    require_publish: bool,
    subscriber_token: str | None,
    unix: Path | None,
    as_json: bool,
    **hub: Any,
) -> None:
    """Check that a hub is ready, holds streams, delivers what is published, and replays it.

    \b
    barestream smoke
    barestream smoke --require-publish --json

    What it publishes is private, on a topic of its own: no viewer sees it. Without a token it
    publishes nothing.
    """
    asked = chosen(**hub)
    code, found = asyncio.run(
        _run(asked, subscriber_token, unix, require_publish, is_shown=not as_json)
    )
    if as_json:
        click.echo(json.dumps(found, indent=2))
    sys.exit(code)


async def _run(
    asked: ChosenHub,
    subscriber_token: str | None,
    unix: Path | None,
    require_publish: bool,
    *,
    is_shown: bool,
) -> tuple[int, dict[str, Any]]:
    """Take all steps; return the exit code, and what was found, for programs."""
    done: list[dict[str, Any]] = []
    async with Smoke(asked, subscriber_token, unix) as testing:
        steps = {"the service is ready": testing.is_ready, "streams open": testing.takes_streams}
        publishes = bool(asked.token) or require_publish
        if publishes:
            steps |= {
                "a published update arrives": testing.delivers,
                "a client that comes back gets what it missed": testing.replays,
            }
        found: dict[str, Any] = {"steps": done, "url": testing.url, "published": publishes}
        for name, step in steps.items():
            began_at = time.monotonic()
            try:
                await step()
            except (FailedError, HubError) as error:
                code, remedy = _judged(error)
                if is_shown:
                    _say(name, str(error), remedy)
                found |= {"failed": name, "cause": str(error), "remedy": remedy}
                return code, found
            seconds = time.monotonic() - began_at
            done.append({"name": name, "seconds": round(seconds, 3)})
            if is_shown:
                click.echo(f"{seconds:6.2f} s  {name}")
        if is_shown:
            left_out = "" if publishes else "; without a token nothing was published"
            click.echo(f"all is well at {testing.url}{left_out}")
    return 0, found


def _judged(error: FailedError | HubError) -> tuple[int, str]:
    """Return the exit code of a failure, and what to do about it."""
    if isinstance(error, FailedError):
        return error.code, error.remedy
    code = exits.code_of(error) or 1
    return code, _REMEDIES.get(code, READ_THE_LOG)


def _say(step: str, cause: str, remedy: str) -> None:
    # Further lines stand below the first one.
    indented = remedy.replace("\n", "\n              ")
    click.echo(
        f"smoke failed at: {step}\n  cause:      {printable(cause)}\n  what to do: {indented}",
        err=True,
    )

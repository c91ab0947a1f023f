"""The command ``barestream doctor``."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import click
from click.core import ParameterSource

from barestream.commands import exits
from barestream.commands.hub_options import address_options, chosen
from barestream_client.address import PATH, AddressError, hub_url
from barestream_doctor import opinion
from barestream_doctor.bodies import body
from barestream_doctor.finding import Finding, Severity
from barestream_doctor.limits import limits
from barestream_doctor.probes import Probes, examine
from barestream_doctor.progress import ProgressBar
from barestream_doctor.report import as_json, text, worst
from barestream_doctor.seen import Seen
from barestream_doctor.stalls import StallWatch
from barestream_doctor.target import InvalidTargetError, Target, target

_EXIT_CODES = {
    Severity.OK: 0,
    Severity.NOTE: 0,
    Severity.WARNING: 1,
    Severity.ERROR: exits.HAS_FAULT,
}

# What kept the doctor from examining anything.
_EXIT_CODES_OF_FINDINGS = {
    "no-stream": exits.NO_HUB,
    "unreachable": exits.AWAY,
    "direct-unreachable": exits.AWAY,
    "token-refused": exits.NO_RIGHT,
}


@click.command()
@click.argument("stream", metavar="[URL]", required=False)
@address_options
@click.option(
    "--direct",
    metavar="URL",
    help="The same server past the proxy, to name the hop that has a fault.",
)
@click.option("--topic", help="A topic of a hub, to read; a line is published to it.")
@click.option("--origin", help="An origin of pages, whose requests are tried.")
@click.option("--quick", is_flag=True, help="Only what takes less than 15 s.")
@click.option(
    "--limits",
    "with_limits",
    is_flag=True,
    help="Also try how many streams and how large requests are taken; it spends what the server "
    "allows your address.",
)
@click.option("--insecure", is_flag=True, help="Trust any certificate.")
@click.option("--json", "wants_json", is_flag=True, help="Print JSON.")
def doctor(  # noqa: PLR0913, PLR0917 (one for each option)
    stream: str | None,
    url: str | None,
    token: str | None,
    context: str | None,
    direct: str | None,
    topic: str | None,
    origin: str | None,
    quick: bool,
    with_limits: bool,
    insecure: bool,
    wants_json: bool,
) -> None:
    """Find out what holds the events of a stream back, or cuts them.

    URL is the root of a hub, or a stream; without it, the hub is that of --url or of the context.
    With a token that has the right to operate, the diagnostic endpoint of a hub says what was sent,
    and when; of any other server the stream alone is read.

    \b
    barestream doctor --quick http://127.0.0.1:9009/

    The exit code is 0 if no fault was found, 1 after a warning and 7 after an error. It is 3 if
    there is no stream or the URL is none, 4 if the server cannot be reached, and 5 if the token is
    refused.
    """
    examined, token = _to_examine(stream, url, token, context)
    try:
        targets = [target(each, topic) for each in (examined, direct) if each is not None]
    except InvalidTargetError as error:
        raise AddressError(str(error)) from None
    began_at = time.monotonic()
    asked = _Asked(targets, token, topic, origin, quick, with_limits, insecure)
    try:
        findings = asyncio.run(asked.findings())
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(exits.INTERRUPTED)
    seconds = time.monotonic() - began_at
    if wants_json:
        click.echo(json.dumps(as_json(examined, findings, seconds), indent=1))
    else:
        # click removes colors where the output is no terminal.
        click.echo(
            text(examined, findings, seconds), color=False if os.environ.get("NO_COLOR") else None
        )
    sys.exit(_exit_code(findings))


def _to_examine(
    stream: str | None, url: str | None, token: str | None, context: str | None
) -> tuple[str, str | None]:
    """Return the URL that is examined, and the token; an empty token is none.

    Raises:
        AddressError: The URL of the hub is none.
        UsageError: Two URLs are given, or there is no such context.
    """
    if stream is None:
        hub = chosen(url, token, context, retry_seconds=0)
        stream, token = f"{hub_url(hub.url).removesuffix(PATH)}/", hub.token
    else:
        source = click.get_current_context().get_parameter_source
        if ParameterSource.COMMANDLINE in {source("url"), source("context")}:
            raise click.UsageError("Give URL, --url or --context.")
    return stream, (token or "").strip() or None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options ask for."""

    targets: Sequence[Target]
    token: str | None
    topic: str | None
    origin: str | None
    is_quick: bool
    with_limits: bool
    is_insecure: bool

    async def findings(self) -> list[Finding]:
        """Examine the path, and the direct one after it."""
        async with ProgressBar() as bar:
            seen = [await self._examined(each, bar) for each in self.targets]
        return opinion.findings(seen[0]) if len(seen) == 1 else opinion.compared(*seen)

    async def _examined(self, to: Target, bar: ProgressBar) -> Seen:
        async with StallWatch() as watch:
            # The list fills while the streams run.
            seen = Seen(stalls=watch.stalls)
            probes = Probes(
                to, self.token, self.is_quick, self.is_insecure, self.origin, bar.told, seen
            )
            topic = self.topic
            await examine(probes, *([] if topic is None else [partial(body, probes, topic)]))
            if self.with_limits and seen.has_diagnosis:
                await limits(probes)
        return seen


def _exit_code(findings: Sequence[Finding]) -> int:
    codes = [_EXIT_CODES_OF_FINDINGS.get(each.code, 0) for each in findings]
    return max(codes) or _EXIT_CODES[worst(findings)]

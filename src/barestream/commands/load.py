"""The command ``barestream load``."""

import json
import math
import os
import re
import secrets
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from barestream.commands.printable import printable
from barestream.server.open_files import most_connections, raise_limit
from barestream_client.address import AddressError
from barestream_load.plan import Plan, Publishing, TooFewFilesError, check_files
from barestream_load.progress import ProgressBar
from barestream_load.report import as_json, remarks, table
from barestream_load.run import BrokenRunError, run
from barestream_load.stamp import MOST_BYTES
from barestream_load.target import InvalidTargetError, target

# nginx as shipped allows one address 500 streams (BARESTREAM_STREAMS_PER_ADDRESS).
_STREAMS_PER_SOURCE = 400

# A connect takes a worker about 0.4 ms; at this rate the worker has time left for its streams.
_OPENED_PER_SECOND = 500

# A field's name is a token (RFC 9110, section 5.1); a line end would begin another field.
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*")


def _fields(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    for field in given:
        if not _FIELD.fullmatch(field):
            raise click.BadParameter(f"{field!r}: expected 'Name: value' in ASCII.")
    return given


@click.command()
@click.argument("url")
@click.option(
    "--streams",
    type=click.IntRange(1, 1_000_000),
    default=100,
    show_default=True,
    help="How many streams to hold open.",
)
@click.option(
    "--ramp",
    "ramp_seconds",
    type=click.FloatRange(0, 3600),
    metavar="SECONDS",
    help="Time over which the streams are opened evenly.  [default: 1 for each 500 streams]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 86_400),
    default=10,
    show_default=True,
    help="How long the load lasts once the streams are open.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    help="Processes that share the streams.  [default: one for each core]",
)
@click.option(
    "--sources",
    type=click.IntRange(1, 65_000),
    help="Source addresses, from 127.0.0.1 on, of streams to this machine itself.  "
    "[default: one for each 400 streams]",
)
@click.option(
    "--unix",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A unix socket to connect to in place of the URL's host.",
)
@click.option(
    "--topic", "topics", multiple=True, help="A topic to subscribe to, of a hub; repeatable."
)
@click.option(
    "--header",
    "fields",
    multiple=True,
    metavar="'NAME: VALUE'",
    callback=_fields,
    help="A header of each stream's request; repeatable.",
)
@click.option(
    "--publish",
    "events_per_second",
    type=click.FloatRange(0, 1_000_000, min_open=True),
    metavar="RATE",
    help="Events to publish a second meanwhile, to the topics in turn.",
)
@click.option(
    "--publishers",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="Publishers at the same time; each waits for an answer before it sends the next event.",
)
@click.option(
    "--bytes",
    "data_bytes",
    type=click.IntRange(MOST_BYTES, 16_777_216),
    default=130,
    show_default=True,
    help="The size of a published event's data.",
)
@click.option(
    "--token",
    envvar="BARESTREAM_TOKEN",
    help="The publishers' token.  "
    "[default: BARESTREAM_TOKEN, or a token that BARESTREAM_TOKEN_KEY signs]",
)
@click.option(
    "--json",
    "json_file",
    type=click.File("w"),
    metavar="FILE|-",
    help="Write the whole result to a file, as JSON.",
)
def load(  # noqa: PLR0913, PLR0917 (one for each option)
    url: str,
    streams: int,
    ramp_seconds: float | None,
    seconds: float,
    processes: int | None,
    sources: int | None,
    unix: Path | None,
    topics: tuple[str, ...],
    fields: tuple[str, ...],
    events_per_second: float | None,
    publishers: int,
    data_bytes: int,
    token: str | None,
    json_file: TextIO | None,
) -> None:
    """Hold many streams of a URL open, and report what they received.

    \b
    barestream load http://127.0.0.1:9009/events --streams 50 --seconds 1
    barestream load http://127.0.0.1:9009 --streams 50 --seconds 1 --publish 20

    With --publish it also measures how long events took, and counts lost events. The URL is that
    of a hub, or of any Server-Sent Events. The exit code is 1 if a stream was not opened or was
    cut, or if an event was lost, came twice, came out of order or was not accepted.
    """
    publishing = None
    if events_per_second:
        topics = topics or ("barestream/load",)
        token = token or _signed(topics, (), None, None, "give --token")
        publishing = Publishing(events_per_second, publishers, topics, data_bytes, token)
    try:
        plan = Plan(
            url,
            target(url, topics, unix, sources or math.ceil(streams / _STREAMS_PER_SOURCE)),
            fields,
            secrets.token_hex(4).encode(),
            streams,
            min(streams, processes or os.cpu_count() or 1),
            streams / _OPENED_PER_SECOND if ramp_seconds is None else ramp_seconds,
            seconds,
            publishing,
        )
        check_files(plan, raise_limit(), most_connections())
        with ProgressBar(plan) as bar:
            outcome = run(plan, bar)
    except InvalidTargetError as error:
        raise AddressError(f"{url!r}: {error}") from None
    except TooFewFilesError as error:
        raise click.UsageError(str(error)) from None
    except BrokenRunError as error:
        sys.exit(str(error))
    if json_file:
        json.dump(as_json(plan, outcome), json_file, indent=1)
        json_file.write("\n")
    # Remarks quote what the server has answered.
    report = "\n".join([table(plan, outcome), *map(printable, remarks(plan, outcome))])
    click.echo(report, err=json_file is not None and json_file.name == "<stdout>")
    sys.exit(0 if outcome.is_well else 1)


def _signed(*arguments: Any) -> str:
    """Return a token by the settings of the service, which a load with a token does not need."""
    from barestream.commands.token import signed  # noqa: PLC0415

    return signed(*arguments)

"""The command ``barestream tail``."""

import asyncio
import sys
from typing import Any

import click

from barestream.commands.hub_options import ChosenHub, chosen, hub_options
from barestream.commands.printable import json_line, printable
from barestream.commands.progress import ProgressBar
from barestream_client.events import Event, Gap
from barestream_client.hub import Hub, Subscription


@click.command()
@click.argument("topics", nargs=-1)
@click.option(
    "--pattern", "patterns", multiple=True, help="A URL Pattern of Mercure 1.0; repeatable."
)
@click.option(
    "--from",
    "cursor",
    metavar="ID",
    help="Begin after the event with this id; earliest begins with the oldest.",
)
@click.option(
    "--rewind",
    metavar="10|30s|kept",
    help="Begin with the newest ten of each topic, those of 30 s, or the kept value.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many events.")
@click.option("--seconds", type=click.FloatRange(0), help="End after so long.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
@hub_options
def tail(  # noqa: PLR0913, PLR0917 (one for each option)
    topics: tuple[str, ...],
    patterns: tuple[str, ...],
    cursor: str | None,
    rewind: str | None,
    count: int | None,
    seconds: float | None,
    as_json: bool,
    **hub: Any,
) -> None:
    """Print the events of topics as they come.

    \b
    barestream tail news
    barestream tail '/orders/{id}' --from earliest --json
    barestream tail '*' --rewind 10 --seconds 2

    A broken connection is opened again, and goes on where it was. It ends when all topics have
    ended. Where events are gone, a line on standard error says so.
    """
    if not topics and not patterns:
        raise click.UsageError("Missing argument 'TOPICS...'.")
    options = {"patterns": patterns, "cursor": cursor, "rewind": rewind}
    printer = _Printer(as_json)
    asyncio.run(_follow(chosen(**hub), topics, options, printer, count, seconds))


async def _follow(  # noqa: PLR0913, PLR0917 (what to follow, and for how long)
    chosen_hub: ChosenHub,
    topics: tuple[str, ...],
    options: dict[str, Any],
    printer: "_Printer",
    count: int | None,
    seconds: float | None,
) -> None:
    async with (
        Hub(**chosen_hub.options()) as hub,
        hub.subscribe(*topics, **options) as subscription,
    ):
        try:
            async with asyncio.timeout(seconds):
                await _print(subscription, printer, count)
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            # After Ctrl-C.
            if subscription.cursor:
                cursor = printable(subscription.cursor)
                click.echo(f"\nto go on from here: --from '{cursor}'", err=True)
            raise


async def _print(subscription: Subscription, printer: "_Printer", count: int | None) -> None:
    left = count
    # On a terminal the events themselves show it.
    is_shown = count is not None and not sys.stdout.isatty()
    with ProgressBar("events", count, is_shown=is_shown) as bar:
        async for event in subscription:
            printer.show(event)
            if left is not None and not isinstance(event, Gap):
                bar.add(1)
                left -= 1
                if not left:
                    return


class _Printer:
    """Prints events."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def show(self, event: Event) -> None:
        """Print an event; and on standard error that events are missing."""
        if isinstance(event, Gap):
            span = f"after {event.missing_from or 'some event'}, before {event.missing_to}"
            words = f"Events are missing {span}: the history no longer has them."
            click.echo(printable(words), err=True)
        if self._as_json:
            sys.stdout.write(json_line(_members(event)) + "\n")
        elif not isinstance(event, Gap):
            click.echo(_line(event))
        sys.stdout.flush()


def _members(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "topic": event.topic,
        "type": event.type,
        "data": event.data,
        **({"own_id": event.own_id} if event.own_id else {}),
        **({"end": True} if event.is_end else {}),
    }


def _line(event: Event) -> str:
    """Return an event as people read it: time, topic, type, and its data."""
    moment = event.published_at
    parts = [click.style(f"{moment.astimezone():%H:%M:%S}", dim=True)] if moment else []
    parts += [click.style(printable(event.topic), fg="cyan")] if event.topic else []
    parts += [click.style(printable(event.type), fg="yellow")] if event.type != "message" else []
    parts += [printable(event.data)]
    return "  ".join(parts) + (click.style("  (the end)", dim=True) if event.is_end else "")

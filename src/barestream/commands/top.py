"""The command ``barestream top``."""

import asyncio
import json
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from barestream.commands import exits
from barestream.commands.hub_options import address_options, chosen
from barestream.commands.rates import Interval, instance_of, interval
from barestream.commands.top_view import Away, View, as_json, away_words, line
from barestream_client.address import AddressError, HubError
from barestream_client.answers import AwayError
from barestream_client.hub import Hub

# A worker that is busy answers within this time.
_SLOW_SECONDS = 1.0


@click.command()
@click.option(
    "--interval",
    "seconds",
    type=click.FloatRange(0.2, 3600),
    default=1,
    show_default=True,
    metavar="SECONDS",
    help="How often the hub is asked.",
)
@click.option("--once", is_flag=True, help="Show one interval, and end.")
@click.option("--count", type=click.IntRange(1), help="End after so many intervals.")
@click.option("--json", "wants_json", is_flag=True, help="Print each interval as a line of JSON.")
@address_options
def top(seconds: float, once: bool, count: int | None, wants_json: bool, **hub: Any) -> None:
    """Show what a hub and its workers do, each second.

    \b
    barestream top
    barestream top --once
    barestream top --json --count 3

    It needs a token with the right to operate. Where the output is no terminal, each interval is a
    line. The exit code is 4 if the hub is away at the end.
    """
    if once and count:
        raise click.UsageError("Give --once or --count.")
    hub_of = chosen(**hub, retry_seconds=0)
    shown: _Output
    if wants_json:
        shown = _JsonLines(hub_of.url)
    elif once:
        shown = _Once(hub_of.url)
    elif sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        shown = _Screen(hub_of.url)
    else:
        shown = _Lines(hub_of.url)
    options = {"url": hub_of.url, "token": hub_of.token, "patience_seconds": 0}
    try:
        is_away = asyncio.run(_watch(options, seconds, shown, 1 if once else count))
    except asyncio.CancelledError:
        sys.exit(exits.TERMINATED)
    sys.exit(exits.AWAY if is_away else 0)


async def _watch(
    options: dict[str, Any], seconds: float, output: "_Output", count: int | None
) -> bool:
    """Show so many intervals; None for no end. Return whether the hub was away in the last one."""
    watching = asyncio.current_task()
    assert watching is not None  # noqa: S101 (a coroutine runs in a task)
    # The terminal gets its screen back first.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, watching.cancel)
    found: Interval | Away | None = None
    left = count
    async with Hub(**options) as hub, aclosing(_intervals(hub, seconds)) as intervals:
        with output:
            async for found in intervals:
                is_whole = _is_whole(found)
                if is_whole or output.shows_parts:
                    output.show(found)
                if left is not None and is_whole:
                    left -= 1
                    if not left:
                        break
    return isinstance(found, Away)


async def _intervals(hub: Hub, seconds: float) -> AsyncGenerator[Interval | Away, None]:
    """Yield what happened in each interval; of the first answer there are no rates yet.

    Raises:
        HubError: The hub refuses the token; or it has never answered, and trying again is no use.
    """
    # Behind a load balancer the answers come from several instances in turn.
    before: dict[tuple[str, str], dict[str, Any]] = {}
    answered_at = time.monotonic()
    due_at = answered_at
    while True:
        asking = asyncio.create_task(hub.figures())
        try:
            while not (await asyncio.wait([asking], timeout=max(seconds, _SLOW_SECONDS)))[0]:
                yield Away("no answer yet", time.monotonic() - answered_at, may_answer=True)
            after = asking.result()
            found = interval(before.get(instance_of(after)), after)
        except AwayError as error:
            yield Away(str(error), time.monotonic() - answered_at)
        except AddressError as error:
            # Something on the way may answer in its place while it is away.
            if not before:
                raise
            yield Away(str(error), time.monotonic() - answered_at)
        except (LookupError, TypeError, ValueError) as error:
            raise AddressError(f"the hub's figures have another form: {error!r}") from None
        else:
            before[instance_of(after)], answered_at = after, time.monotonic()
            yield found
        finally:
            asking.cancel()
            with suppress(asyncio.CancelledError, HubError):
                await asking
        due_at = max(due_at + seconds, time.monotonic())
        await asyncio.sleep(due_at - time.monotonic())


def _is_whole(found: Interval | Away) -> bool:
    """Return whether an interval has rates, or the hub is away for certain."""
    return not found.may_answer if isinstance(found, Away) else found.seconds is not None


class _Output(ABC):
    """Shows intervals; a context.

    Args:
        url: The hub's URL.

    Attributes:
        shows_parts: Whether it shows also an interval without rates, and that an answer may still
            come.
    """

    shows_parts = False

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return

    @abstractmethod
    def show(self, found: Interval | Away) -> None:
        """Show an interval, or that the hub is away."""


class _JsonLines(_Output):
    def show(self, found: Interval | Away) -> None:
        if isinstance(found, Away):
            told = {"at": round(time.time(), 3), "url": self._url, "away": found.why}
        else:
            told = as_json(self._url, found)
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


class _Lines(_Output):
    def show(self, found: Interval | Away) -> None:
        if isinstance(found, Away):
            click.echo(f"{time.strftime('%H:%M:%S')}  {away_words(found)}")
        else:
            click.echo(line(found))


class _Once(_Output):
    def show(self, found: Interval | Away) -> None:
        if isinstance(found, Away):
            click.echo(away_words(found), err=True)
        else:
            console = Console(highlight=False)
            with console.capture() as captured:
                console.print(View(self._url, found, None))
            click.echo(captured.get(), nl=False, color=True)


class _Screen(_Output):
    """A view that changes in its place, and stays below at the end."""

    shows_parts = True

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._shown: Interval | None = None
        self._view: View | None = None

    def __enter__(self) -> None:
        self._live.start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, self._live.refresh)

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGWINCH)
        self._live.stop()
        if self._view is not None:
            self._console.print(self._view)

    def show(self, found: Interval | Away) -> None:
        away = found if isinstance(found, Away) else None
        if not isinstance(found, Away):
            self._shown = found
        self._view = View(self._url, self._shown, away)
        self._live.update(self._view, refresh=True)

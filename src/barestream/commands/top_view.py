"""What ``barestream top`` shows: a table for a terminal, a line where there is none, and JSON."""

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from barestream.commands.printable import printable
from barestream.commands.rates import Activity, Interval, Lag, Worker

# Wider, and the eye loses the row.
_MOST_COLUMNS = 110

_UNKNOWN = "-"

# The units of durations, with their seconds.
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class Away(NamedTuple):
    """The hub does not answer.

    Attributes:
        why: The reason.
        seconds: For how long.
        may_answer: Whether its answer may still come.
    """

    why: str
    seconds: float
    may_answer: bool = False


class _Column(NamedTuple):
    """A column of the table.

    Attributes:
        title: Its title, of two lines.
        least: Its least width, so that it does not move when its figures change.
        cell: Returns the cell of a row.
        drop: The columns with the highest numbers go first where the terminal is too narrow.
    """

    title: str
    least: int
    cell: Callable[["_Row"], str]
    drop: int


class _Row(NamedTuple):
    name: str
    activity: Activity
    memory_bytes: int | None
    cpu_share: float | None
    style: str


_COLUMNS = (
    _Column("\nworker", 7, lambda row: row.name, 0),
    _Column("\nstreams", 7, lambda row: f"{row.activity.streams:,}", 0),
    _Column("\nslow", 4, lambda row: f"{row.activity.slow_streams:,}", 5),
    _Column("events\nper s", 7, lambda row: rate(row.activity.events), 3),
    _Column("deliveries\nper s", 10, lambda row: rate(row.activity.deliveries), 0),
    _Column("publishes\nper s", 9, lambda row: rate(row.activity.publishes), 1),
    _Column("lag\np99", 6, lambda row: bound(row.activity.lag), 2),
    _Column("loop lag\np99", 8, lambda row: bound(row.activity.loop_lag), 6),
    _Column("\nmemory", 7, lambda row: _memory(row.memory_bytes), 7),
    _Column("\ncpu", 5, lambda row: _share(row.cpu_share), 4),
)


class View:
    """What happened in an interval, for a terminal of any width.

    Args:
        url: The hub's URL.
        shown: The newest interval; None if the hub has not answered yet.
        away: Why it does not answer; None if it does.
    """

    def __init__(self, url: str, shown: Interval | None, away: Away | None) -> None:
        self._url = url
        self._shown = shown
        self._away = away

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines."""
        shown, away = self._shown, self._away
        yield Text(printable(self._url), style="bold", no_wrap=True, overflow="ellipsis")
        if shown is not None:
            yield Text(_whose(shown), no_wrap=True, overflow="ellipsis")
        if away is not None:
            yield Text(away_words(away), style="bold red")
        elif shown is not None:
            # Above the table, whose last rows a low terminal does not show.
            for words, style in (_of_history(shown), *_notes(shown)):
                yield Text(words, style=style)
        if shown is not None:
            yield Text("")
            width = min(options.max_width, _MOST_COLUMNS)
            yield _table(shown, width, "dim" if away else "")


def line(shown: Interval) -> str:
    """Return an interval as a line."""
    total = shown.total
    words, _ = _of_history(shown)
    parts = [
        f"{datetime.fromtimestamp(shown.at).astimezone():%H:%M:%S}",
        _counted(total.streams, "stream"),
        f"{total.slow_streams:,} slow",
        f"{rate(total.events)} events/s",
        f"{rate(total.deliveries)} deliveries/s",
        f"{rate(total.publishes)} publishes/s",
        f"lag p99 {bound(total.lag)}",
        _counted(len(shown.workers), "worker"),
        words,
        *(note for note, _ in _notes(shown)),
    ]
    return "  ".join(parts)


def away_words(away: Away) -> str:
    """Return that a hub is away, and why."""
    since = f", for {duration(away.seconds)}" if away.seconds >= 1 else ""
    return printable(f"The hub is away{since}: {away.why}")


def as_json(url: str, shown: Interval) -> dict[str, Any]:
    """Return an interval for programs."""
    return {
        "at": shown.at,
        "url": url,
        "release": shown.release,
        "host": shown.host,
        "instance": shown.instance,
        "interval_seconds": _rounded(shown.seconds),
        **_activity_as_json(shown.total),
        "history": {
            **shown.history._asdict(),
            "since_seconds": _rounded(shown.history.since_seconds),
            "failed_seconds": _rounded(shown.history.failed_seconds),
        },
        "workers": [
            {
                "pid": each.pid,
                **_activity_as_json(each.activity),
                "memory_bytes": each.memory_bytes,
                "cpu_share": _rounded(each.cpu_share),
                "uptime_seconds": each.uptime_seconds,
                "is_draining": each.is_draining,
                "is_hanging": each.is_hanging,
            }
            for each in shown.workers
        ],
    }


def rate(per_second: float | None) -> str:
    """Return a rate as people read it."""
    if per_second is None:
        return _UNKNOWN
    return f"{per_second:,.0f}" if per_second >= 100 or per_second == 0 else f"{per_second:.1f}"


def bound(lag: Lag) -> str:
    """Return what 99 % of a lag did not exceed."""
    if lag.p99 is None:
        return _UNKNOWN
    if math.isinf(lag.p99):
        return "> 10 s"
    return f"{lag.p99:g} s" if lag.p99 >= 1 else f"{1000 * lag.p99:g} ms"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: 3 h 12 min."""
    left, parts = int(seconds), list[str]()
    for size, unit in _UNITS:
        number, left = divmod(left, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def _whose(shown: Interval) -> str:
    uptimes = [each.uptime_seconds for each in shown.workers if each.uptime_seconds is not None]
    parts = [
        f"{datetime.fromtimestamp(shown.at).astimezone():%H:%M:%S}",
        "barestream" if shown.release is None else f"barestream {shown.release}",
        f"instance {shown.instance} on {shown.host}",
        *([f"up {duration(max(uptimes))}"] if uptimes else []),
    ]
    return printable("  ".join(parts))


def _of_history(shown: Interval) -> tuple[str, str]:
    """Return how the history stands, as a sentence, and its style."""
    history = shown.history
    if not history.is_valkey:
        return "The history is in memory.", ""
    whom = "the worker" if len(shown.workers) == 1 else "all workers"
    for_how_long = (
        "" if history.since_seconds is None else f", for {duration(history.since_seconds)}"
    )
    why = f" ({printable(history.failed_because)})" if history.failed_because else ""
    if not history.answers:
        return f"Valkey does not answer {whom}{why}{for_how_long}.", "bold red"
    if not history.accepts:
        return f"Valkey does not accept updates of {whom}{why}{for_how_long}.", "bold red"
    failed = ""
    if history.failed_seconds is not None:
        failed = f" It last failed {duration(history.failed_seconds)} ago{why}."
    return f"Valkey answers{for_how_long}.{failed}", "green"


def _notes(shown: Interval) -> list[tuple[str, str]]:
    """Return what an operator should see, each with its style."""
    found = []
    for each in shown.workers:
        if each.is_hanging:
            found.append((f"Worker {each.pid} hangs: its figures stand still.", "bold red"))
        elif each.is_draining:
            found.append((f"Worker {each.pid} drains.", "magenta"))
    if shown.total.failed:
        found.append((f"The history fails {rate(shown.total.failed)} publishes/s.", "bold red"))
    if shown.total.refused:
        found.append((f"The hub refuses {rate(shown.total.refused)} publishes/s.", "magenta"))
    return found


def _table(shown: Interval, width: int, style: str) -> Table:
    rows = [_row(each) for each in shown.workers]
    if len(rows) > 1:
        shares = [each.cpu_share for each in rows if each.cpu_share is not None]
        # The workers share memory: a sum would be too much.
        total = _Row("all", shown.total, None, sum(shares) if shares else None, "bold")
        rows.insert(0, total)
    columns = _fitting(rows, width)
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
        show_edge=False,
        header_style="",
        style=style,
    )
    for number, column in enumerate(columns):
        table.add_column(
            column.title,
            justify="right" if number else "left",
            min_width=column.least,
            no_wrap=True,
            vertical="bottom",
        )
    for row in rows:
        table.add_row(*(column.cell(row) for column in columns), style=style or row.style)
    return table


def _row(worker: Worker) -> _Row:
    style = "red" if worker.is_hanging else "magenta" if worker.is_draining else ""
    return _Row(str(worker.pid), worker.activity, worker.memory_bytes, worker.cpu_share, style)


def _fitting(rows: Sequence[_Row], width: int) -> list[_Column]:
    """Return the columns that fit into the width."""
    columns = list(_COLUMNS)

    def needed() -> int:
        titles_and_cells = ([*each.title.split("\n"), *map(each.cell, rows)] for each in columns)
        widths = (max(map(len, texts)) for texts in titles_and_cells)
        return sum(1 + max(each.least, width) for each, width in zip(columns, widths, strict=True))

    # The last one has no space after it.
    while needed() > width + 1 and (last := max(columns, key=lambda each: each.drop)).drop:
        columns.remove(last)
    return columns


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _memory(size_bytes: int | None) -> str:
    return _UNKNOWN if size_bytes is None else f"{size_bytes / 1e6:,.0f} MB"


def _share(share: float | None) -> str:
    return _UNKNOWN if share is None else f"{100 * share:.0f} %"


def _activity_as_json(activity: Activity) -> dict[str, Any]:
    return {
        "streams": activity.streams,
        "slow_streams": activity.slow_streams,
        **{
            f"{name}_per_second": _rounded(getattr(activity, name))
            for name in ("events", "deliveries", "publishes", "refused", "failed")
        },
        **{
            f"{name}_{part}_seconds": _rounded(seconds)
            for name in ("lag", "loop_lag")
            for part, seconds in getattr(activity, name)._asdict().items()
        },
    }


def _rounded(number: float | None) -> float | None:
    """Return a number as JSON has it: it knows nothing infinite."""
    return None if number is None or math.isinf(number) else round(number, 6)

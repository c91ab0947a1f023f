"""What a service did between two times, from the figures that its hub told then. Pure."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# A worker's loop wakes ten times a second. One that has not woken for this long is held by
# something: a broadcast or a replay gives way after 5 ms.
_HANGS_SECONDS = 0.8

Figures = Mapping[str, Any]


class Lag(NamedTuple):
    """How late something came, in seconds; each None where nothing came.

    Attributes:
        mean: The mean.
        p50: A bound that half of it did not exceed; infinite where no bound was high enough.
        p99: A bound that 99 % of it did not exceed, likewise.
    """

    mean: float | None = None
    p50: float | None = None
    p99: float | None = None


class Activity(NamedTuple):
    """What happened in an interval; a rate is None where it is not known.

    Attributes:
        streams: The open streams.
        slow_streams: Those whose client reads more slowly than the stream sends.
        events: Events a second that were written to at least one stream.
        deliveries: Events a second that were written, each once for each stream.
        publishes: Updates a second that the history accepted.
        refused: Publishes a second that were answered with an error.
        failed: Publishes a second that the history did not accept, or may not have accepted.
        lag: From when the history accepted an event until it was written to all live streams.
        loop_lag: How late event loops ran what was due.
    """

    streams: int
    slow_streams: int
    events: float | None
    deliveries: float | None
    publishes: float | None
    refused: float | None
    failed: float | None
    lag: Lag
    loop_lag: Lag


class Worker(NamedTuple):
    """A worker in an interval.

    Attributes:
        pid: The id of its process.
        activity: What it did.
        memory_bytes: Its memory; None if it is not known, as for the next two.
        cpu_share: The share of a processor that it used.
        uptime_seconds: How long ago it has started.
        is_draining: Whether it stops.
        is_hanging: Whether its event loop stood still.
    """

    pid: int
    activity: Activity
    memory_bytes: int | None
    cpu_share: float | None
    uptime_seconds: float | None
    is_draining: bool
    is_hanging: bool


class History(NamedTuple):
    """How the history stands to the workers.

    Attributes:
        is_valkey: Whether it is in Valkey, and not in the memory of the worker.
        answers: Whether it answers all of them.
        accepts: Whether it accepts the updates of all of them.
        since_seconds: How long ago that last changed; None if it never did.
        failed_seconds: How long ago it last failed one of them; None if it never did.
        failed_because: Why.
    """

    is_valkey: bool
    answers: bool
    accepts: bool
    since_seconds: float | None
    failed_seconds: float | None
    failed_because: str | None


class Interval(NamedTuple):
    """What an instance did in an interval.

    Attributes:
        release: Its release; None in a checkout.
        host: The machine, or the container.
        instance: Its name.
        at: When the interval ended, in seconds since 1970.
        seconds: How long it was; None for the first figures, which have no rates.
        total: What all workers did.
        workers: Each worker.
        history: The history.
    """

    release: str | None
    host: str
    instance: str
    at: float
    seconds: float | None
    total: Activity
    workers: tuple[Worker, ...]
    history: History


def instance_of(figures: Figures) -> tuple[str, str]:
    """Return whose figures they are: the machine, and the instance there."""
    return str(figures["host"]), str(figures["instance"])


def interval(before: Figures | None, after: Figures) -> Interval:
    """Return what happened between two times.

    Args:
        before: The earlier figures; None if there are none. Those of another instance do not count.
        after: The later figures.

    Raises:
        LookupError, TypeError, ValueError: The figures lack something.
    """
    seconds = None
    if before is not None and instance_of(before) == instance_of(after):
        seconds = after["steady_seconds"] - before["steady_seconds"]
    if before is None or seconds is None or seconds <= 0:
        # Of another machine, or of one that was started again.
        before, seconds = None, None
    earlier = {each["pid"]: each for each in before["workers"]} if before else {}
    pairs = [(earlier.get(each["pid"]), each) for each in after["workers"]]
    workers = tuple(_worker(old, each, seconds) for old, each in pairs)
    return Interval(
        _text(after["release"]),
        str(after["host"]),
        str(after["instance"]),
        float(after["at"]),
        seconds,
        _total(before, after, pairs, workers, seconds),
        workers,
        _history(after),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _worker(before: Figures | None, after: Figures, seconds: float | None) -> Worker:
    lag, loop_lag = (_lag([(before, after)], name) for name in ("delivery_lag", "loop_lag"))
    woken = _risen(before and before["loop_lag"], after["loop_lag"], "count")
    activity = Activity(
        int(after["streams"]),
        int(after["slow_streams"]),
        _rate(before and before["delivery_lag"], after["delivery_lag"], "count", seconds),
        *_rates(before, after, seconds),
        lag,
        loop_lag,
    )
    return Worker(
        int(after["pid"]),
        activity,
        after["memory_bytes"],
        _rate(before, after, "cpu_seconds", seconds),
        after["uptime_seconds"],
        bool(after["draining"]),
        seconds is not None and seconds >= _HANGS_SECONDS and woken == 0,
    )


def _total(
    before: Figures | None,
    after: Figures,
    pairs: list[tuple[Figures | None, Figures]],
    workers: Iterable[Worker],
    seconds: float | None,
) -> Activity:
    of_each = [each.activity for each in workers]
    known = [each.events for each in of_each if each.events is not None]
    return Activity(
        sum(each.streams for each in of_each),
        sum(each.slow_streams for each in of_each),
        # Each worker reads every event.
        max(known, default=None),
        *_rates(before and before["totals"], after["totals"], seconds),
        _lag(pairs, "delivery_lag"),
        _lag(pairs, "loop_lag"),
    )


def _rates(
    before: Figures | None, after: Figures, seconds: float | None
) -> tuple[float | None, float | None, float | None, float | None]:
    """Return the rates of deliveries, of publishes, and of those that were refused and failed."""
    deliveries, publishes, refused, failed = (
        _rate(before, after, name, seconds)
        for name in (
            *("events_delivered", "updates_published"),
            *("publishes_refused", "publishes_failed"),
        )
    )
    return deliveries, publishes, refused, failed


def _rate(before: Figures | None, after: Figures, name: str, seconds: float | None) -> float | None:
    risen = _risen(before, after, name)
    return None if risen is None or not seconds else risen / seconds


def _risen(before: Figures | None, after: Figures, name: str) -> float | None:
    """Return by how much a count has risen; None if it fell, because it began anew, or if it is
    not known.
    """
    if before is None or before[name] is None or after[name] is None:
        return None
    risen: float = after[name] - before[name]
    return risen if risen >= 0 else None


def _lag(pairs: Iterable[tuple[Figures | None, Figures]], name: str) -> Lag:
    """Return a lag of all workers that are known from before."""
    count, sum_seconds, up_to = 0.0, 0.0, dict[float, float]()
    for before, after in pairs:
        if before is None or (risen := _risen(before[name], after[name], "count")) is None:
            continue
        count += risen
        sum_seconds += after[name]["sum_seconds"] - before[name]["sum_seconds"]
        for bound, measured in after[name]["up_to"].items():
            earlier = before[name]["up_to"].get(bound, 0)
            up_to[float(bound)] = up_to.get(float(bound), 0) + measured - earlier
    if not count:
        return Lag()
    return Lag(max(0.0, sum_seconds / count), _bound(up_to, 0.5), _bound(up_to, 0.99))


def _bound(up_to: Mapping[float, float], share: float) -> float:
    """Return the least bound that a share of the measurements did not exceed."""
    wanted = share * max(up_to.values(), default=0)
    return min((bound for bound, count in up_to.items() if count >= wanted), default=math.inf)


def _history(after: Figures) -> History:
    of_workers = [each["history"] for each in after["workers"]]
    failed = max(
        (each for each in of_workers if each["failed_at"] is not None),
        key=lambda each: each["failed_at"],
        default=None,
    )
    changed = max((each["since"] for each in of_workers if each["since"]), default=None)
    now = float(after["at"])
    return History(
        after["history"] == "valkey",
        all(each["answers"] for each in of_workers),
        all(each["accepts_updates"] for each in of_workers),
        # The wall clock may have been set back since.
        None if changed is None else max(0.0, now - changed),
        None if failed is None else max(0.0, now - failed["failed_at"]),
        None if failed is None else _text(failed["failed_because"]),
    )

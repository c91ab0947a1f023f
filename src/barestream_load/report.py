"""The result of a load, as a table for people and as JSON for programs."""

from collections.abc import Iterator
from typing import Any

from barestream_load.findings import Findings, Outcome, Published
from barestream_load.histogram import Histogram
from barestream_load.plan import Plan
from barestream_load.usage import Usage

PERCENTS = (50, 99, 99.9)

# The share of a core above which a process is often late because of its own work.
_BUSY_SHARE = 0.8

# The share of the latency at p99 above which the tool has mostly measured itself.
_OWN_SHARE = 0.5

# A shorter wait does not matter, and a few reads in a row take as long.
_OWN_LEAST_US = 5000


def table(plan: Plan, outcome: Outcome) -> str:
    """Return the result as a table."""
    title = (f"load for {outcome.seconds:.1f} s", plan.url)
    rows = [title, *_rows(plan, outcome)]
    names, values = (max(map(len, column)) for column in zip(*rows, strict=True))
    head, *lines = (f"| {name:<{names}} | {value:<{values}} |" for name, value in rows)
    return "\n".join([head, f"| {'-' * names} | {'-' * values} |", *lines])


def _rows(plan: Plan, outcome: Outcome) -> Iterator[tuple[str, str]]:
    found, published = outcome.findings, outcome.published
    yield "streams opened", f"{found.opened:,} of {plan.streams:,}"
    yield "  ended by the server, cut off", f"{found.ended:,}, {found.cut:,}"
    yield "  open after: p50, p99, p99.9, max", _percentiles(found.open_after)
    if published:
        sent = sum(published.numbers)
        rate = _rate(sent, outcome.seconds)
        yield "published", f"{published.taken:,} of {sent:,}, {rate}"
        yield "  answered after: p50, p99, p99.9, max", _percentiles(published.answered_after)
    yield "events received", f"{found.events:,}, {_rate(found.events, outcome.seconds)}"
    lost = f"{found.lost:,}, {found.twice:,}, {found.disordered:,}"
    yield "  lost, twice, out of order", lost if found.is_compared else "unknown"
    if found.gaps_told:
        yield "  gaps reported", f"{found.gaps_told:,}"
    if found.unstamped:
        yield "  published by others", f"{found.unstamped:,}"
    if published:
        yield "  latency: p50, p99, p99.9, max", _percentiles(found.latency)
        yield "  caused by this tool, at most", _percentiles(found.own_wait)
    yield "  longest silence of a stream", f"{found.silence_us / 1e6:.1f} s"
    for nth, usage in enumerate(_usages(outcome), 1):
        busiest = f", {usage.busiest:.1%} in its busiest second" if usage.busiest else ""
        yield f"own CPU, process {nth}: {usage.name}", f"{usage.share:.1%} of a core{busiest}"


def _usages(outcome: Outcome) -> list[Usage]:
    own = [outcome.published.usage] if outcome.published else []
    return [*outcome.findings.usages, *own]


def _rate(count: int, seconds: float) -> str:
    return f"{count / seconds:,.1f} a second" if seconds else "no time"


def _percentiles(histogram: Histogram) -> str:
    if not histogram:
        return "none"
    values = [*map(histogram.percentile_us, PERCENTS), histogram.most_us]
    return ", ".join(_milliseconds(value) for value in values if value is not None)


def _milliseconds(duration_us: int) -> str:
    return f"{duration_us / 1000:.{0 if duration_us >= 100_000 else 1}f} ms"


def remarks(plan: Plan, outcome: Outcome) -> list[str]:
    """Return the sentences that explain the table."""
    found, published = outcome.findings, outcome.published
    return [
        *(
            f"{count:,} streams were not opened: {why}."
            for why, count in found.failed.most_common()
        ),
        *(_of_published(published) if published else ()),
        *_of_rate(plan, outcome),
        *_of_streams(found),
        *_of_own_work(outcome),
    ]


def _of_published(published: Published) -> Iterator[str]:
    for why, count in published.answers.most_common():
        yield f"{count:,} publishes were not accepted: {why}."


def _of_rate(plan: Plan, outcome: Outcome) -> Iterator[str]:
    if not plan.publishing or not outcome.published:
        return
    due = plan.publishing.events_per_second * outcome.seconds
    # The last publish of each publisher may be under way at the end.
    if sum(outcome.published.numbers) < 0.95 * due - plan.publishing.publishers:
        yield (
            f"{due:,.0f} publishes were due, and fewer were sent, because a publisher waits for "
            "each answer: the hub cannot accept more, or the load needs more --publishers."
        )


def _of_streams(found: Findings) -> Iterator[str]:
    unopened = found.streams - found.opened - found.failed.total()
    if unopened:
        yield f"{unopened:,} streams were not opened, because the load was stopped first."
    if found.ended or found.cut:
        yield "Streams that ended are not opened again; events after their end count as not lost."
    if found.silent:
        yield f"{found.silent:,} streams were open and received no event."
    if not found.is_compared and found.events:
        yield (
            "The streams have no event ids in common, so lost events cannot be counted; "
            "use --publish to count them."
        )


def _of_own_work(outcome: Outcome) -> Iterator[str]:
    for nth, usage in enumerate(_usages(outcome), 1):
        if usage.busiest >= _BUSY_SHARE:
            yield (
                f"Process {nth} of this tool was busy ({usage.busiest:.0%} of a core), so the "
                "latencies are partly its own. Use fewer streams or events, or more cores and "
                "--processes."
            )
    own_us = outcome.findings.own_wait.percentile_us(99)
    latency_us = outcome.findings.latency.percentile_us(99)
    if own_us and latency_us and own_us > max(_OWN_SHARE * latency_us, _OWN_LEAST_US):
        yield (
            f"Of the latency at p99, {_milliseconds(latency_us)}, this tool may have caused up to "
            f"{_milliseconds(own_us)}: events waited until it had read earlier ones."
        )


def as_json(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    """Return the whole result."""
    found, published = outcome.findings, outcome.published
    return {
        "well": outcome.is_well,
        "url": plan.url,
        "seconds": round(outcome.seconds, 3),
        "streams": {
            "asked": plan.streams,
            "opened": found.opened,
            "failed": dict(found.failed),
            "ended": found.ended,
            "cut": found.cut,
            "without_events": found.silent,
            "open_after_us": _durations(found.open_after),
            "longest_silence_us": found.silence_us,
        },
        "events": {
            "received": found.events,
            "wire_bytes": found.wire_bytes,
            "lost": found.lost if found.is_compared else None,
            "twice": found.twice if found.is_compared else None,
            "out_of_order": found.disordered if found.is_compared else None,
            "gaps_told": found.gaps_told,
            "published_by_others": found.unstamped,
            "latency_us": _durations(found.latency) if published else None,
            "own_wait_us": _durations(found.own_wait) if published else None,
        },
        "published": published
        and {
            "sent": sum(published.numbers),
            "taken": published.taken,
            "not_taken": dict(published.answers),
            "answered_after_us": _durations(published.answered_after),
        },
        "own_cpu": [
            {
                "process": usage.name,
                "cpu_seconds": round(usage.cpu_seconds, 3),
                "share_of_core": round(usage.share, 4),
                "busiest_share_of_core": round(usage.busiest, 4),
            }
            for usage in _usages(outcome)
        ],
        "remarks": remarks(plan, outcome),
    }


def _durations(histogram: Histogram) -> dict[str, int | None]:
    found = {f"p{percent:g}": histogram.percentile_us(percent) for percent in PERCENTS}
    return {**found, "max": histogram.most_us if histogram else None}

"""GET /.well-known/mercure/figures: what each worker of the instance does, for operators.

`barestream top` asks for them. Any worker answers for all, out of the figures that they keep for
Prometheus, so nothing is counted twice.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.time_slices import Slices
from barestream.mercure.bearer import Bearer
from barestream.mercure.topics import PATH
from barestream.telemetry.metrics import Metrics
from barestream.telemetry.process import process
from barestream.telemetry.sampled import Sampled
from barestream.web.answers import whole
from barestream.web.body import JSON_TYPE
from barestream.web.metrics import patiently
from barestream.web.refusals import answered

FIGURES = f"{PATH}/figures"

# By their names in the answer: the counters, and the histograms.
_COUNTS = {
    "updates_published": "barestream_updates_published_total",
    "publishes_refused": "barestream_publishes_refused_total",
    "publishes_failed": "barestream_publishes_failed_total",
    "events_delivered": "barestream_events_delivered_total",
    "bytes_delivered": "barestream_delivered_bytes_total",
    "streams_ended": "barestream_streams_ended_total",
    "streams_resumed": "barestream_streams_resumed_total",
    "gaps": "barestream_gaps_total",
}
_LAGS = {
    "delivery_lag": "barestream_delivery_lag_seconds",
    "loop_lag": "barestream_loop_lag_seconds",
}


class Figures:
    """The handler.

    Args:
        operator: Returns what the sender of a request may do; refuses one that may not operate.
        metrics: The figures.
        slices: The slices of long work.
        steady: A clock of the whole machine that only goes forward, in seconds.
        wall: The wall clock, in seconds.
        facts: What the answer says besides, by its names.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (all that it depends on)
        self,
        operator: Callable[[HttpRequest], Awaitable[Bearer]],
        metrics: Metrics,
        slices: Slices,
        steady: Callable[[], float],
        wall: Callable[[], float],
        facts: Mapping[str, object],
    ) -> None:
        self._operator = operator
        self._metrics = metrics
        self._slices = slices
        self._steady = steady
        self._wall = wall
        self._facts = facts

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the figures."""
        return await answered(request, self._answer)

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        await self._operator(request)
        content = await patiently(self._content)
        return whole(JSON_TYPE, json.dumps(content).encode() + b"\n")

    async def _content(self) -> dict[str, object]:
        workers, totals = [], dict.fromkeys(_COUNTS, 0)
        at, steady_seconds = self._wall(), self._steady()
        for pid, sampled in self._metrics.by_process():
            counts = _counts(sampled)
            totals = {name: totals[name] + count for name, count in counts.items()}
            if pid is not None:
                workers.append(_worker(pid, sampled) | counts)
            await self._slices.step()
        return {
            **self._facts,
            "at": round(at, 3),
            "steady_seconds": round(steady_seconds, 6),
            "totals": totals,
            "workers": workers,
        }


def _counts(sampled: Sampled) -> dict[str, int]:
    return {name: int(sampled.sum(metric)) for name, metric in _COUNTS.items()}


def _worker(pid: int, sampled: Sampled) -> dict[str, Any]:
    seen = process(pid)
    return {
        "pid": pid,
        "uptime_seconds": seen and round(seen.uptime_seconds, 2),
        "memory_bytes": seen and seen.memory_bytes,
        "cpu_seconds": seen and seen.cpu_seconds,
        "draining": sampled.sum("barestream_workers_draining") > 0,
        "streams": int(sampled.sum("barestream_streams")),
        "slow_streams": int(sampled.sum("barestream_streams_paused")),
        "streamed_publishes": int(sampled.sum("barestream_streamed_publishes")),
        "history": _history(sampled),
        **{name: _lag(sampled, metric) for name, metric in _LAGS.items()},
    }


def _history(sampled: Sampled) -> dict[str, object]:
    failures = sampled.by("barestream_history_failed_timestamp_seconds", "cause")
    cause = max(failures, key=failures.__getitem__, default=None)
    return {
        "answers": sampled.sum("barestream_history_up") > 0,
        "accepts_updates": sampled.sum("barestream_history_writable") > 0,
        "since": round(sampled.sum("barestream_history_changed_timestamp_seconds"), 3) or None,
        "failed_at": round(failures[cause], 3) if cause else None,
        "failed_because": cause,
    }


def _lag(sampled: Sampled, metric: str) -> dict[str, object]:
    buckets = sampled.by(f"{metric}_bucket", "le")
    return {
        "count": int(sampled.sum(f"{metric}_count")),
        "sum_seconds": round(sampled.sum(f"{metric}_sum"), 6),
        "up_to": {bound: int(count) for bound, count in buckets.items()},
    }

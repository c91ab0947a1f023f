"""Sets up the metrics of a worker, and what it measures for them all the time."""

import time
from collections.abc import Coroutine, Iterator
from typing import Any

from barestream.asgi.contract import SLOT
from barestream.history.broker import Broker
from barestream.history.measuring import Measuring
from barestream.settings.settings import Settings
from barestream.telemetry.loop_lag import LoopLag
from barestream.telemetry.metrics import Metrics
from barestream.telemetry.process_usage import ProcessUsage, most_memory_bytes


def make_metrics(settings: Settings) -> Metrics:
    """Return the metrics, which have the limits already."""
    metrics = Metrics()
    worker, history = metrics.worker, metrics.history
    worker.configured.set(settings.workers)
    worker.most_leases.set(settings.producers)
    worker.most_memory_bytes.set(most_memory_bytes())
    history.most_updates.set(settings.history_events)
    history.most_bytes.set(settings.history_bytes)
    history.most_seconds.set(settings.history_seconds)
    return metrics


def measuring(metrics: Metrics, broker: Broker, scope: Any) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield the works of a worker that measure for its metrics.

    Args:
        metrics: The metrics.
        broker: The broker of the history.
        scope: The ASGI scope of the worker's lifespan.
    """
    # Other servers do not tell the slot.
    slot: int = scope.get("state", {}).get(SLOT, 0)
    yield LoopLag(time.monotonic, metrics).run()
    yield Measuring(broker, metrics.history).run()
    yield ProcessUsage(metrics.worker, slot).run()

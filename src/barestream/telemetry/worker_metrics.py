"""The workers, and what each of them takes."""

from prometheus_client import CollectorRegistry, Counter, Gauge


def lost_counter(registry: CollectorRegistry) -> Counter:
    """Return the counter of workers that were lost; Gunicorn's master alone adds to it."""
    return Counter(
        "barestream_workers_lost",
        "Workers that died, or that hung and were killed.",
        registry=registry,
    )


class WorkerMetrics:
    """The figures of the workers.

    Args:
        registry: Where they are registered.

    Attributes:
        configured: How many workers there should be.
        cpu_seconds: The processor time of a slot's workers, by slot.
        memory_bytes: Their memory, by slot.
        most_memory_bytes: The memory that the container allows; 0 without a bound.
        most_streams: How many streams all workers may have open.
        most_leases: How many producers and runs may have a lease.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        lost_counter(registry)
        self.configured = Gauge(
            "barestream_workers_configured",
            "BARESTREAM_WORKERS.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.cpu_seconds = Counter(
            "barestream_worker_cpu_seconds",
            "Processor time of a slot's workers. It stands still where a slot has no worker that "
            "works.",
            ["slot"],
            registry=registry,
        )
        self.memory_bytes = Gauge(
            "barestream_worker_memory_bytes",
            "Memory of a slot's workers, with pages that workers share.",
            ["slot"],
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.most_memory_bytes = Gauge(
            "barestream_memory_limit_bytes",
            "Memory that the app's container allows; 0 without a bound.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.most_streams = Gauge(
            "barestream_streams_limit",
            "Streams that all workers together may have open.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.most_leases = Gauge(
            "barestream_leases_limit",
            "BARESTREAM_PRODUCERS.",
            multiprocess_mode="livemax",
            registry=registry,
        )

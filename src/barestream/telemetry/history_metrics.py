"""How much the history has, and how much it may have."""

from prometheus_client import CollectorRegistry, Gauge


class HistoryMetrics:
    """The gauges of the history. All workers measure the same one, so the latest value counts.

    Args:
        registry: Where they are registered.

    Attributes:
        updates: The updates that it has.
        bytes: The memory that they and the index of topics take, by the weights of the broker.
        oldest_seconds: The age of the oldest update.
        most_updates: How many it may have.
        most_bytes: How large it may be.
        most_seconds: How old an update may be.
        valkey_bytes: The memory that Valkey takes; 0 where it is not known.
        most_valkey_bytes: How much that may be; 0 without a bound.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def latest(name: str, what: str) -> Gauge:
            return Gauge(name, what, multiprocess_mode="livemostrecent", registry=registry)

        def limit(name: str, setting: str) -> Gauge:
            return Gauge(name, f"{setting}.", multiprocess_mode="livemax", registry=registry)

        self.updates = latest("barestream_history_updates", "Updates in the history.")
        self.bytes = latest(
            "barestream_history_bytes",
            "Memory of the updates and of the index of topics, as BARESTREAM_HISTORY_BYTES counts.",
        )
        self.oldest_seconds = latest(
            "barestream_history_oldest_seconds", "Age of the oldest update in the history."
        )
        self.most_updates = limit("barestream_history_updates_limit", "BARESTREAM_HISTORY_EVENTS")
        self.most_bytes = limit("barestream_history_bytes_limit", "BARESTREAM_HISTORY_BYTES")
        self.most_seconds = limit("barestream_history_seconds_limit", "BARESTREAM_HISTORY_SECONDS")
        self.valkey_bytes = latest(
            "barestream_valkey_memory_bytes", "Memory that Valkey takes; 0 if it is not known."
        )
        self.most_valkey_bytes = latest(
            "barestream_valkey_memory_limit_bytes", "Valkey's maxmemory; 0 without a bound."
        )

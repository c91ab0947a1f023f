"""The service's metrics, for Prometheus. Counters change once a broadcast, not once a write.

With PROMETHEUS_MULTIPROC_DIR set, each process keeps its figures in files of that folder, and
any process can report those of all.
Source: https://prometheus.github.io/client_python/multiprocess/
"""

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from barestream.telemetry.history_metrics import HistoryMetrics
from barestream.telemetry.level import Level
from barestream.telemetry.metrics_folder import files_by_process, unchanging
from barestream.telemetry.prometheus_parts import merged
from barestream.telemetry.sampled import Sampled
from barestream.telemetry.tally import Tally
from barestream.telemetry.worker_metrics import WorkerMetrics

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

# The range from a worker with Valkey on the same idle machine to an overloaded worker.
_LAG_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The figures of one process.

    Attributes:
        streams: Open streams; flushed as published is.
        paused: Those of them whose client reads more slowly than the stream sends.
        ended: Streams that ended, by reason.
        streamed_publishes: Open streamed publishes.
        published: Updates that the history accepted; flushed by ``text`` and by ``flush``.
        refused: Publishes, and requests for runs and producers, that were answered with an error,
            by status.
        failed: Publishes that the history did not accept, or may not have accepted, by the cause
            of the BrokerAwayError.
        gaps: Gaps sent to single clients that were away too long, or too slow.
        history_lost: How often a worker found another history than the one that it had followed,
            or read that updates are lost.
        resumed: Streams that resumed from an id.
        lag_seconds: Time from an event's place to the end of its broadcast.
        loop_lag_seconds: How late the event loop runs what is due.
        loop_lag_max_seconds: The longest loop lag since the start, of all live processes.
        history_up: 1 if the history answers all processes, else 0.
        history_writable: 1 if the history accepts updates from all processes, else 0.
        history_changed: When one of these two last changed.
        history_failed: When the history last failed a worker, by the cause of the BrokerAwayError.
        sentinels: How many sentinels name a primary to the worker that hears of fewest.
        primary: Workers whose history is in a server, by its address, if there are sentinels.
        draining: Workers that drain.
        leases: Producers and runs that have a lease.
        interrupted: Topics that were ended because their producer did not come back in time.
        clock_jumps: Jumps of the wall clock, by direction.
        revocations: Revocations in force.
        revocations_current: 1 if the last read of the revocations succeeded in all workers, else 0.
        revocations_lost: How often a worker found that revocations were lost.
        requests_revoked: Requests that were refused because their token is revoked.
        subscriptions: Subscriptions of all workers that are active or away, if they are registered.
        untold: Failures to tell the history of streams that began or ended, by the cause of the
            BrokerAwayError.
        unregistered: Subscriptions that presence does not show, because there was no room for them
            or their token's sub or payload was too long.
        issuer_current: 1 if the last read of an issuer's keys succeeded in all workers, else 0.
        spans: Spans of traces, by what became of them.
        history: How much the history has.
        worker: What the workers take, and how many there are.
    """

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.streams = Level(
            Gauge(
                "barestream_streams",
                "Open streams.",
                multiprocess_mode="livesum",
                registry=registry,
            )
        )
        self.paused = Gauge(
            "barestream_streams_paused",
            "Open streams whose client reads more slowly than the stream sends.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.ended = Counter(
            "barestream_streams_ended",
            "Streams that ended, by reason.",
            ["reason"],
            registry=registry,
        )
        self.streamed_publishes = Gauge(
            "barestream_streamed_publishes",
            "Open streamed publishes.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.published = Tally(
            Counter(
                "barestream_updates_published",
                "Updates that the history accepted.",
                registry=registry,
            )
        )
        self.refused = Counter(
            "barestream_publishes_refused",
            "Publishes, and requests for runs and producers, answered with an error, by status.",
            ["status"],
            registry=registry,
        )
        self.failed = Counter(
            "barestream_publishes_failed",
            "Publishes that the history did not accept, or may not have accepted, by cause: "
            "Valkey's error code, unreachable, unanswered, broken, full, replicas, closed or "
            "error.",
            ["cause"],
            registry=registry,
        )
        self._delivered_events = Counter(
            "barestream_events_delivered", "Events written to streams.", registry=registry
        )
        self._delivered_bytes = Counter(
            "barestream_delivered_bytes", "Bytes of events written to streams.", registry=registry
        )
        self.gaps = Counter(
            "barestream_gaps",
            "Gaps sent to single clients that were away too long, or too slow.",
            registry=registry,
        )
        self.history_lost = Counter(
            "barestream_history_lost",
            "How often a worker found another history than the one that it had followed, or read "
            "that updates are lost.",
            registry=registry,
        )
        self.resumed = Counter(
            "barestream_streams_resumed", "Streams that resumed from an id.", registry=registry
        )
        self.lag_seconds = Histogram(
            "barestream_delivery_lag_seconds",
            "Time from an event's place to the end of its broadcast.",
            buckets=_LAG_BUCKETS_SECONDS,
            registry=registry,
        )
        self.loop_lag_seconds = Histogram(
            "barestream_loop_lag_seconds",
            "How late a worker's event loop runs what is due.",
            buckets=_LAG_BUCKETS_SECONDS,
            registry=registry,
        )
        self.loop_lag_max_seconds = Gauge(
            "barestream_loop_lag_max_seconds",
            "The longest loop lag since the start, of all workers.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.history_up = Gauge(
            "barestream_history_up",
            "1 if the history answers all workers, else 0.",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self.history_writable = Gauge(
            "barestream_history_writable",
            "1 if the history accepts updates from all workers, else 0.",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self.history_changed = Gauge(
            "barestream_history_changed_timestamp_seconds",
            "When the history last began or ceased to answer a worker, or to accept its updates.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.history_failed = Gauge(
            "barestream_history_failed_timestamp_seconds",
            "When the history last failed a worker, by cause, as for publishes.",
            ["cause"],
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.sentinels = Gauge(
            "barestream_sentinels",
            "Sentinels that name a primary, as the worker sees it that sees fewest; 0 without "
            "sentinels.",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self.primary = Gauge(
            "barestream_history_primary",
            "Workers whose history is in this server, by address, if there are sentinels.",
            ["address"],
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.draining = Gauge(
            "barestream_workers_draining",
            "Workers that drain.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.leases = Gauge(
            "barestream_leases",
            "Producers and runs that have a lease.",
            multiprocess_mode="livemostrecent",
            registry=registry,
        )
        self.interrupted = Counter(
            "barestream_topics_interrupted",
            "Topics that were ended because their producer did not come back in time.",
            registry=registry,
        )
        self.clock_jumps = Counter(
            "barestream_clock_jumps",
            "Jumps of the wall clock that workers noticed, by direction.",
            ["direction"],
            registry=registry,
        )
        self.revocations = Gauge(
            "barestream_revocations",
            "Revocations in force.",
            multiprocess_mode="livemostrecent",
            registry=registry,
        )
        self.revocations_current = Gauge(
            "barestream_revocations_current",
            "1 if the last read of the revocations succeeded in all workers, else 0.",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self.revocations_lost = Counter(
            "barestream_revocations_lost",
            "How often a worker found that revocations were lost or replaced by an older copy.",
            registry=registry,
        )
        self.requests_revoked = Counter(
            "barestream_requests_revoked",
            "Requests that were refused because their token is revoked.",
            registry=registry,
        )
        self.subscriptions = Gauge(
            "barestream_subscriptions",
            "Subscriptions that are active or away, if BARESTREAM_SUBSCRIPTIONS is true.",
            multiprocess_mode="livemostrecent",
            registry=registry,
        )
        self.untold = Counter(
            "barestream_subscription_changes_failed",
            "Failures to tell the history of streams that began or ended, by cause, as for "
            "publishes. The changes wait.",
            ["cause"],
            registry=registry,
        )
        self.unregistered = Counter(
            "barestream_subscriptions_unregistered",
            "Subscriptions that presence does not show: there was no room for them, or their "
            "token's sub or payload was too long.",
            registry=registry,
        )
        self.issuer_current = Gauge(
            "barestream_issuer_keys_current",
            "1 if the last read of an issuer's keys succeeded in all workers, else 0.",
            ["issuer"],
            multiprocess_mode="livemin",
            registry=registry,
        )
        self.spans = Counter(
            "barestream_spans",
            "Spans of traces, by outcome: sent, or lost as failed or no_room.",
            ["outcome"],
            registry=registry,
        )
        self.history = HistoryMetrics(registry)
        self.worker = WorkerMetrics(registry)

    def delivered(self, events: int, size_bytes: int) -> None:
        """Count a broadcast: events over all streams, and their bytes."""
        self._delivered_events.inc(events)
        self._delivered_bytes.inc(size_bytes)

    def flush(self) -> None:
        """Have the figures of this process show all that it has counted."""
        self.published.flush()
        self.streams.flush()

    def text(self) -> bytes:
        """Return the figures of all processes together, in Prometheus's text format.

        Raises:
            BusyFolderError: The counts of dead processes are being added up, for milliseconds.
        """
        self.flush()
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if folder is None:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        with unchanging(Path(folder)):
            return generate_latest(registry)

    def by_process(self) -> Iterator[tuple[int | None, Sampled]]:
        """Yield each live process's id and figures, then with None the counts of those that ended.

        Until the generator ends, no counts of processes that ended are added up.

        Raises:
            BusyFolderError: As for ``text``, before the first process.
        """
        self.flush()
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if folder is None:
            yield os.getpid(), Sampled(self._registry.collect())
            return
        with unchanging(Path(folder)):
            living, ended = files_by_process(Path(folder))
            for pid, files in living.items():
                yield pid, Sampled(merged(files))
            yield None, Sampled(merged(ended))

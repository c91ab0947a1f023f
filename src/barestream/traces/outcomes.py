"""What becomes of spans: how many wait, how many are lost, and why."""

import logging
import threading

from barestream.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

_SENT, _FAILED, _NO_ROOM = "sent", "failed", "no_room"


class Outcomes:
    """Counts spans, and logs when they begin to be lost and when they are sent again.

    The loop and the thread that sends call it.

    Args:
        metrics: Where they are counted.
        most_waiting: How many may wait.
    """

    def __init__(self, metrics: Metrics, most_waiting: int) -> None:
        self._metrics = metrics
        # Prometheus sees no increase in the first value of a figure, so each of them begins at 0.
        for outcome in (_SENT, _FAILED, _NO_ROOM):
            metrics.spans.labels(outcome)
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._waiting = 0
        self._lost = 0
        # The outcomes of them that the log has.
        self._told: set[str] = set()

    def take(self) -> bool:
        """Return whether there is room for a span; then it waits."""
        with self._lock:
            has_room = self._waiting < self._most_waiting
            self._waiting += has_room
        if not has_room:
            self._lose(_NO_ROOM, 1, "the collector takes spans more slowly than they are made")
        return has_room

    def note(self, spans: int, why: str | None) -> None:
        """Note what became of spans that waited.

        Args:
            spans: How many.
            why: Why they are lost; None if they were sent.
        """
        with self._lock:
            self._waiting -= spans
        if why is not None:
            self._lose(_FAILED, spans, why)
            return
        self._metrics.spans.labels(_SENT).inc(spans)
        with self._lock:
            # If the collector is slow, more is lost in a moment, and each batch would be logged.
            has_room = self._waiting <= self._most_waiting // 2
            lost = self._lost if has_room else 0
            if lost:
                self._lost = 0
                self._told.clear()
        if lost:
            logger.info("traces are sent again", extra={"lost": lost})

    def end(self) -> None:
        """Note that those that wait are lost, because the worker ends."""
        with self._lock:
            waiting = self._waiting
        if waiting:
            self.note(waiting, "the collector did not take the last ones before the worker's end")

    def _lose(self, outcome: str, spans: int, why: str) -> None:
        self._metrics.spans.labels(outcome).inc(spans)
        with self._lock:
            is_first = outcome not in self._told
            self._told.add(outcome)
            self._lost += spans
        if is_first:
            logger.warning("traces cannot be sent", extra={"why": why})

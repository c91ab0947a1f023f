"""Gunicorn's master, which starts a worker's successor as soon as the worker begins to stop.

Gunicorn's own master counts a worker until its process has ended. Each slot has a socket of its
own, so the slot of a stopping worker would have no worker until the drain is over.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from barestream.server.gunicorn_parts import Arbiter, close_sockets
from barestream.server.worker import ENDING_SIGNALS, Worker

# After a QUIT a worker flushes its streams (1 s) and finishes its requests (3 s).
HURRIED_SECONDS = 6

# How long Gunicorn's own master waits for all workers after a QUIT.
_QUICK_STOP_SECONDS = 2

_POLL_SECONDS = 0.1


class SlotArbiter(Arbiter):  # type: ignore[misc]  # Gunicorn has no types
    """Keeps a worker in each slot, not counting workers that are stopping.

    WORKERS, which Gunicorn counts, holds the workers that are not stopping. Stopping workers are
    kept in a dict of their own until their process ends; one that has not ended by its deadline is
    killed. At most as many as there are slots drain at their own pace, which bounds the number of
    processes if workers fail one after the other.
    """

    WORKERS: dict[int, Worker]
    LISTENERS: list[Any]

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._leaving: dict[int, Worker] = {}
        self._is_stopping = False
        self._is_reload_due = False
        # The age of the newest worker when the last reload began.
        self._reloaded_age = 0
        self._looked_at = time.monotonic()
        self._judged_from = self._looked_at

    def handle_hup(self) -> None:
        """Reload; if workers still drain because of an earlier reload, wait for their end."""
        if self._is_reload_under_way:
            self.log.info("The reload waits until the workers of the earlier reload have ended")
            self._is_reload_due = True
            return
        self._reloaded_age = self.worker_age
        super().handle_hup()

    def manage_workers(self) -> None:
        """Start missing workers, and stop surplus ones."""
        for pid, worker in self.WORKERS.items():
            if worker.is_leaving:
                self.log.info("Worker (pid:%s) is stopping: its successor starts", pid)
        self._set_leaving_apart()
        super().manage_workers()
        self._hurry_surplus()
        if self._is_reload_due and not self._is_reload_under_way:
            self._is_reload_due = False
            self.handle_hup()

    def spawn_worker(self) -> int:
        """Fork a worker, and lose no signal that is sent to it.

        It inherits the master's handlers, which do nothing in the worker. So its signals are
        blocked until it has handlers of its own (Worker.init_signals).
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
        try:
            return super().spawn_worker()  # type: ignore[no-any-return]
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)

    def kill_worker(self, pid: int, sig: int) -> None:
        """Send a worker a signal; after a signal that ends it, it counts as stopping."""
        super().kill_worker(pid, sig)
        if sig in (*ENDING_SIGNALS, signal.SIGKILL) and pid in self.WORKERS:
            self.WORKERS[pid].is_leaving = True
            self._set_leaving_apart()

    def kill_workers(self, sig: int) -> None:
        """Send all workers a signal, also those that are stopping."""
        for pid in [*self.WORKERS, *self._leaving]:
            self.kill_worker(pid, sig)

    def reap_workers(self) -> None:
        """Remove the workers that have ended.

        Raises:
            HaltServer: One of them could not start.
        """
        with self._all_workers():
            super().reap_workers()

    def murder_workers(self) -> None:
        """Kill the workers that do not beat, and those that have not ended in time."""
        now = time.monotonic()
        away_seconds = now - self._looked_at
        self._looked_at = now
        if away_seconds > max(2, self.timeout / 2):
            # This process was paused, with its container or machine, and so were the workers.
            self._judged_from = now
            for worker in self._leaving.values():
                worker.leaves_by += away_seconds
        for pid, worker in [*self.WORKERS.items(), *self._leaving.items()]:
            silent_seconds = now - max(worker.tmp.last_update(), self._judged_from)
            if self.timeout and silent_seconds > self.timeout:
                self._end_stuck(pid, worker)
            elif now > worker.leaves_by:
                self.log.error("Worker (pid:%s) has not ended in time: killing it", pid)
                self.kill_worker(pid, signal.SIGKILL)

    def stop(self, graceful: bool = True) -> None:
        """End all workers, and start none, as Gunicorn does, but with a monotonic clock."""
        self._is_stopping = True
        self.WORKERS.update(self._leaving)
        self._leaving.clear()
        unlink = (
            self.reexec_pid == self.master_pid == 0 and not self.systemd and not self.cfg.reuse_port
        )
        close_sockets(self.LISTENERS, unlink)
        self.LISTENERS = []
        self.kill_workers(signal.SIGTERM if graceful else signal.SIGQUIT)
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while self.WORKERS and time.monotonic() < deadline:
            if graceful and self._is_quick_stop_wanted():
                self.log.info("Quick shutdown requested")
                graceful = False
                self.kill_workers(signal.SIGQUIT)
                deadline = time.monotonic() + _QUICK_STOP_SECONDS
            self.murder_workers()
            self.reap_workers()
            time.sleep(_POLL_SECONDS)
        self.kill_workers(signal.SIGKILL)
        self.reap_workers()

    @property
    def _is_reload_under_way(self) -> bool:
        return any(worker.age <= self._reloaded_age for worker in self._leaving.values())

    def _is_quick_stop_wanted(self) -> bool:
        wanted = False
        while not self.SIG_QUEUE.empty():
            wanted |= self.SIG_QUEUE.get() in (signal.SIGINT, signal.SIGQUIT)
        return wanted

    def _set_leaving_apart(self) -> None:
        # A stop waits until WORKERS is empty.
        if self._is_stopping:
            return
        for pid, worker in [*self.WORKERS.items()]:
            if worker.is_leaving:
                worker.leaves_by = time.monotonic() + self.cfg.graceful_timeout
                self._leaving[pid] = self.WORKERS.pop(pid)

    @contextmanager
    def _all_workers(self) -> Iterator[None]:
        apart = set(self._leaving)
        self.WORKERS.update(self._leaving)
        try:
            yield
        finally:
            self._leaving = {pid: self.WORKERS.pop(pid) for pid in apart & set(self.WORKERS)}

    def _hurry_surplus(self) -> None:
        paced = [
            (worker.age, pid) for pid, worker in self._leaving.items() if not worker.is_hurried
        ]
        for _, pid in sorted(paced)[: max(0, len(paced) - self.num_workers)]:
            self.log.warning("Worker (pid:%s) must end at once: too many workers drain", pid)
            self._leaving[pid].is_hurried = True
            self._leaving[pid].leaves_by = time.monotonic() + HURRIED_SECONDS
            self.kill_worker(pid, signal.SIGQUIT)

    def _end_stuck(self, pid: int, worker: Worker) -> None:
        if worker.aborted:
            self.kill_worker(pid, signal.SIGKILL)
        else:
            self.log.critical("WORKER TIMEOUT (pid:%s)", pid)
            worker.aborted = True
            self.kill_worker(pid, signal.SIGABRT)

"""Gunicorn's configuration: ``python -m barestream.server -c python:barestream.server.config``.

It also works with Gunicorn's own command, but then a worker that stops alone has no successor until
it has drained.

Reference: https://docs.gunicorn.org/en/stable/settings.html
"""

import math
import os
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from prometheus_client.multiprocess import mark_process_dead

from barestream.delivery.streams import FLUSH_SECONDS
from barestream.server import open_files
from barestream.server.server import ACCEPTED_GRACE_SECONDS, REQUEST_GRACE_SECONDS
from barestream.server.socket_folder import SocketFolder
from barestream.settings.doubts import doubts
from barestream.settings.setting import SettingsError
from barestream.settings.settings import Settings, load, of_nginx
from barestream.telemetry.logs import log_config
from barestream.telemetry.metrics_folder import METRICS_FOLDER, DeadProcesses


def _fitting(settings: Settings) -> int:
    """Return how many streams a worker can hold; it has the open files of this process.

    Raises:
        SettingsError: The set number is higher than that, or a worker could hold none.
    """
    wanted = settings.streams_per_worker
    if open_files.most_streams() < wanted:
        open_files.raise_limit()
    possible = open_files.most_streams()
    if possible < 1 or (possible < wanted and "streams_per_worker" in settings.model_fields_set):
        raise SettingsError(
            f"BARESTREAM_STREAMS_PER_WORKER={wanted}: expected at most {max(possible, 0)}, because "
            f"a process may open {open_files.limit()} files here (ulimit -Hn), and "
            f"{open_files.limit() - possible} of them are reserved for other uses than streams"
        )
    return min(wanted, possible)


try:
    _settings = load()
    _most_streams = _fitting(_settings)
except SettingsError as error:
    sys.exit(str(error))

_dead = DeadProcesses()
_folder = SocketFolder(_settings.socket_dir, _settings.instance, _settings.workers)

wsgi_app = "barestream.app:create_app()"
worker_class = "barestream.server.worker.Worker"
workers = _settings.workers

# A socket for each worker slot; nginx balances over them.
bind = [_settings.bind] if _settings.bind else [f"unix:{path}" for path in _folder.sockets]

# All that a worker waits for when it stops, and a second for its exit.
graceful_timeout = 1 + math.ceil(
    _settings.drain_seconds + FLUSH_SECONDS + ACCEPTED_GRACE_SECONDS + REQUEST_GRACE_SECONDS
)

# A worker beats once a second, and its loop is held for less than one, so a silence of 15 s is a
# hang. Until the worker is killed, connections of nginx wait in its socket's queue; its successor
# serves them. Gunicorn's default is 30 s.
timeout = 15

# Heartbeats to the arbiter go through memory: on a busy disk they would come late.
worker_tmp_dir = "/dev/shm"  # noqa: S108 (Gunicorn makes the file itself, safely)

# Only nginx reaches a unix socket, and it overwrites these headers; over TCP anyone does.
forwarded_allow_ips = "" if _settings.bind else "*"

# A second way in that nothing here needs.
control_socket_disable = True

logconfig_dict = log_config(_settings.log_level)


def on_starting(server: Any) -> None:
    """Prepare the sockets' folder; a worker's socket is not to be left without its worker."""
    for sentence in doubts(_settings, os.environ):
        server.log.warning(sentence)
    if _most_streams < _settings.streams_per_worker:
        server.log.warning(
            "a worker can hold %d streams, not %d: a process may open %d files here (ulimit -Hn)",
            *(_most_streams, _settings.streams_per_worker, open_files.limit()),
        )
    if not _settings.bind:
        try:
            _folder.claim()
            _folder.write_settings(of_nginx(_settings))
        except (OSError, RuntimeError) as error:
            sys.exit(f"barestream: {error}")


def when_ready(_server: Any) -> None:
    """Lead nginx here; from now on connections wait in the sockets' queues."""
    # TTIN and TTOU change the number of workers, and with it that of the sockets that nginx has.
    for unwanted in (signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(unwanted, signal.SIG_IGN)
    if not _settings.bind:
        _folder.become_current()


def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker its settings, and the slot that the fewest workers have.

    During a reload each slot has an old worker and a new one, for a moment.
    """
    worker.slow_seconds = _settings.slow_seconds
    if not _settings.bind:
        taken = Counter(each.slot for each in server.WORKERS.values())
        worker.slot = min(range(workers), key=lambda slot: taken[slot])


def child_exit(server: Any, worker: Any) -> None:
    """Take a worker's gauges out of the figures; what it counted stays in them."""
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
        _dead.add_up(Path(folder), worker.pid, server.WORKERS)


def on_exit(_server: Any) -> None:
    """Remove the folder of the figures where ``barestream serve`` made it."""
    folder = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""))
    if folder.name.startswith(METRICS_FOLDER):
        shutil.rmtree(folder, ignore_errors=True)

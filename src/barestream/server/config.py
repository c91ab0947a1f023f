"""Gunicorn's configuration: ``python -m barestream.server -c python:barestream.server.config``.

It also works with Gunicorn's own command, but then a stopping worker has no successor until it has
drained.

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

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import mark_process_dead

from barestream.delivery.streams import FLUSH_SECONDS
from barestream.mercure.version import Version
from barestream.server import open_files
from barestream.server.server import ACCEPTED_GRACE_SECONDS, REQUEST_GRACE_SECONDS
from barestream.server.socket_folder import SocketFolder
from barestream.settings.doubts import doubts
from barestream.settings.setting import SettingsError
from barestream.settings.settings import Settings, load, of_nginx
from barestream.telemetry.logs import log_config
from barestream.telemetry.metrics_folder import METRICS_FOLDER, DeadProcesses
from barestream.telemetry.worker_metrics import lost_counter


def _fitting(settings: Settings) -> int:
    """Return how many streams a worker can hold; it inherits the limit of open files.

    Raises:
        SettingsError: The setting is higher than that, or a worker could hold no stream.
    """
    wanted = settings.streams_per_worker
    if open_files.most_streams() < wanted:
        open_files.raise_limit()
    possible = open_files.most_streams()
    if possible < 1 or (possible < wanted and "streams_per_worker" in settings.model_fields_set):
        raise SettingsError(
            f"BARESTREAM_STREAMS_PER_WORKER={wanted}: expected at most {max(possible, 0)}, because "
            f"a worker may open {open_files.limit()} files here (ulimit -Hn), and "
            f"{open_files.limit() - possible} of them are not for streams; raise that limit, or "
            "lower the setting"
        )
    return min(wanted, possible)


try:
    _settings = load()
    _most_streams = _fitting(_settings)
except SettingsError as error:
    sys.exit(str(error))

_dead = DeadProcesses()
_lost = lost_counter(CollectorRegistry())
_folder = SocketFolder(_settings.socket_dir, _settings.instance, _settings.workers)

wsgi_app = "barestream.app:create_app()"
worker_class = "barestream.server.worker.Worker"
workers = _settings.workers

# A socket for each slot; nginx balances over them.
bind = [_settings.bind] if _settings.bind else [f"unix:{path}" for path in _folder.sockets]

# The sum of a stopping worker's waits, and a second for its exit.
graceful_timeout = 1 + math.ceil(
    _settings.drain_seconds + FLUSH_SECONDS + ACCEPTED_GRACE_SECONDS + REQUEST_GRACE_SECONDS
)

# A worker beats once a second, and its loop is never held for as long as a second, so a worker that
# is silent for 15 s hangs. Until it is killed, connections of nginx wait in its socket's queue; its
# successor serves them. Gunicorn's default is 30 s.
timeout = 15

# Heartbeats to the arbiter go through memory: on a busy disk they would come late.
worker_tmp_dir = "/dev/shm"  # noqa: S108 (Gunicorn makes the file itself, safely)

# libuv looks names up in threads, by default four. Where Valkey's host is lost, and the name server
# does not answer for its name, each attempt to connect holds one of them for some seconds, also
# after it was given up, and the name of the next primary has to wait. A worker makes some ten
# attempts in that time. More would cost many workers the room in Compose's pids_limit.
if "UV_THREADPOOL_SIZE" not in os.environ:
    raw_env = ["UV_THREADPOOL_SIZE=16"]

# Only nginx can connect to a unix socket, and it overwrites these headers. Over TCP any client can
# send them.
forwarded_allow_ips = "" if _settings.bind else "*"

# Nothing here needs Gunicorn's control socket, and it would be another way to attack the service.
control_socket_disable = True

logconfig_dict = log_config(_settings.log_level)


def on_starting(server: Any) -> None:
    """Log doubtful settings, and prepare the folder of the sockets."""
    for sentence in doubts(_settings, os.environ):
        server.log.warning(sentence)
    speaks_both = len(_settings.versions) == len(Version)
    if speaks_both and _settings.token_key and not (_settings.issuer or _settings.issuers):
        server.log.info(
            "tokens of Mercure 0.x are accepted; access tokens of 1.0 are refused, because neither "
            "BARESTREAM_ISSUER nor BARESTREAM_ISSUERS is set"
        )
    if _most_streams < _settings.streams_per_worker:
        server.log.warning(
            "a worker can hold %d streams, not %d: it may open %d files; raise ulimit -Hn",
            *(_most_streams, _settings.streams_per_worker, open_files.limit()),
        )
    if not _settings.bind:
        try:
            _folder.claim()
            _folder.write_settings(of_nginx(_settings))
        except (OSError, RuntimeError) as error:
            sys.exit(f"barestream: {error}")


def when_ready(_server: Any) -> None:
    """Make this instance current for nginx; from now on the sockets queue connections."""
    # TTIN and TTOU would change the number of workers, but nginx knows a fixed number of sockets.
    for unwanted in (signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(unwanted, signal.SIG_IGN)
    if not _settings.bind:
        _folder.become_current()


def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker its settings, and the slot with the fewest workers.

    During a reload each slot has an old and a new worker for a moment.
    """
    worker.slow_seconds = _settings.slow_seconds
    worker.has_own_listener = not _settings.bind
    taken = Counter(each.slot for each in server.WORKERS.values())
    worker.slot = min(range(workers), key=lambda slot: taken[slot])


def child_exit(server: Any, worker: Any) -> None:
    """Remove the gauges of a worker that ended from the figures, and keep its counts."""
    if worker.aborted or not worker.is_leaving:
        _lost.inc()
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
        _dead.add_up(Path(folder), worker.pid, server.WORKERS)


def on_exit(_server: Any) -> None:
    """Remove the folder of the figures if ``barestream serve`` made it."""
    folder = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""))
    if folder.name.startswith(METRICS_FOLDER):
        shutil.rmtree(folder, ignore_errors=True)

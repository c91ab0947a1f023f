"""The parts of Gunicorn that its master and its workers are built on here, and that it does not
document.

Read Gunicorn's arbiter.py, sock.py, workers/base.py and app/wsgiapp.py again before an upgrade.
"""

from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter
from gunicorn.sock import close_sockets
from gunicorn.workers.base import Worker as BaseWorker
from gunicorn.workers.workertmp import WorkerTmp

__all__ = ["Arbiter", "WSGIApplication", "close_sockets"]

READ_IN = {"gunicorn": "27.0.1"}

# By class: the methods that are overridden or called, and the attributes that are used.
PARTS = {
    Arbiter: (
        *("handle_hup", "kill_worker", "kill_workers", "manage_workers", "murder_workers"),
        *("reap_workers", "run", "spawn_worker", "stop"),
        *("LISTENERS", "SIG_QUEUE", "WORKERS", "WORKER_BOOT_ERROR", "cfg", "log", "master_pid"),
        *("num_workers", "reexec_pid", "systemd", "timeout", "worker_age"),
    ),
    BaseWorker: (
        *("init_process", "init_signals", "notify"),
        *("aborted", "age", "pid", "ppid", "sockets", "tmp", "wsgi"),
    ),
    WorkerTmp: ("last_update",),
    WSGIApplication: ("run",),
}

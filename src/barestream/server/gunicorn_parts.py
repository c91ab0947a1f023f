"""The parts of Gunicorn that the master and the workers build on, and that Gunicorn does not
document.

tests/unit/test_library_parts.py compares the installed Gunicorn with this file.
"""

from gunicorn import sock
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter
from gunicorn.sock import BaseSocket, close_sockets
from gunicorn.workers.base import Worker as BaseWorker
from gunicorn.workers.workertmp import WorkerTmp

__all__ = ["Arbiter", "WSGIApplication", "close_sockets"]

# The version in which the parts were read.
READ_IN = {"gunicorn": "27.0.1"}

# By class or module: the functions that are overridden or called here, with their parameters, and
# the attributes that are read or set here.
PARTS = {
    Arbiter: (
        # Overridden. run calls murder_workers and manage_workers about once a second; the latter
        # calls spawn_worker and kill_worker.
        *("__init__(self, app)", "handle_hup(self)", "stop(self, graceful)"),
        *("kill_worker(self, pid, sig)", "kill_workers(self, sig)"),
        *("manage_workers(self)", "murder_workers(self)", "reap_workers(self)"),
        "spawn_worker(self)",
        "run(self)",
        *("SIG_QUEUE", "WORKER_BOOT_ERROR", "cfg", "log", "master_pid", "num_workers"),
        *("reexec_pid", "systemd", "timeout", "worker_age"),
        # Set too: workers that leave are taken out of WORKERS.
        *("LISTENERS", "WORKERS"),
    ),
    BaseWorker: (
        # Overridden. The master calls init_process after the fork, and that calls init_signals.
        *("init_process(self)", "init_signals(self)"),
        "notify(self)",
        *("age", "pid", "ppid", "tmp", "wsgi"),
        # Set too.
        *("aborted", "sockets"),
    ),
    WorkerTmp: ("last_update(self)",),
    BaseSocket: ("close(self)", "sock"),
    WSGIApplication: ("run(self)",),
    sock: ("close_sockets(listeners, unlink)",),
}

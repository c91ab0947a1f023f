"""The faults that nobody may leave by."""

import time
from functools import partial

from compose import Stack
from drill.faults import Fault, kill_worker, reload_app, restart_nginx
from drill.rollout import roll

# Shorter than the lease of a worker.
STOPPED_SECONDS = 12


def restart_valkey(stack: Stack) -> None:
    """Restart Valkey's container."""
    done = stack.run("restart", "valkey")
    assert done.returncode == 0, done.stderr


def hold_worker(stack: Stack) -> None:
    """Have one worker do nothing for a while."""
    held = stack.workers()[0]
    stack.signal_within(held, "STOP")
    time.sleep(STOPPED_SECONDS)
    # Gunicorn may have killed it meanwhile.
    if held in stack.workers():
        stack.signal_within(held, "CONT")


FAULTS = (
    Fault("rollout of this release onto itself", partial(roll, old="app", new="green")),
    Fault("rollout back", partial(roll, old="green", new="app")),
    Fault("app reloaded (HUP)", reload_app),
    Fault("nginx restarted", restart_nginx),
    Fault("Valkey restarted", restart_valkey),
    Fault("worker killed (-9)", kill_worker),
    Fault(f"worker stopped for {STOPPED_SECONDS} s", hold_worker),
)

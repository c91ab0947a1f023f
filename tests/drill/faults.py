"""The faults that the drill makes while the service works."""

import time
from collections.abc import Callable
from typing import NamedTuple

from compose import Stack
from support.servers.service import wait_for

# Valkey stays dead for so long: publishes meet it, and not only the connections it held.
VALKEY_AWAY_SECONDS = 1

# Valkey refuses writes for so long: many times what a health check and a retry take.
READ_ONLY_SECONDS = 20

# The drain of the app's last container. A worker that stops alone leaves its slot to its successor
# at once, whatever its own streams still take.
LONG_DRAIN_SECONDS = 20


class Fault(NamedTuple):
    """One thing that happens to a service.

    Attributes:
        name: As the report calls it.
        strike: Does it, and returns once every stream that it ends has ended; with the moment, of
            time.monotonic, when something else was chosen to take the place of what failed, if
            that happened.
    """

    name: str
    strike: Callable[[Stack], float | None]


def kill_worker(stack: Stack) -> None:
    """Kill one worker of the app."""
    stack.signal_within(stack.workers()[0], "KILL")


def reload_app(stack: Stack) -> None:
    """Have Gunicorn replace its workers."""
    old = set(stack.workers())
    stack.kill("app", "HUP")
    wait_for("the end of the old workers", lambda: old.isdisjoint(stack.workers()), 30)


def reload_nginx(stack: Stack) -> None:
    """Have nginx replace its workers; the old ones keep their streams for a while."""
    command = ("nginx", "-p", "/run/nginx", "-c", "/etc/nginx/nginx.conf", "-s", "reload")
    done = stack.exec("nginx", *command)
    assert done.returncode == 0, done.stderr


def restart_nginx(stack: Stack) -> None:
    """Restart nginx's container."""
    done = stack.run("restart", "nginx")
    assert done.returncode == 0, done.stderr


def kill_valkey(stack: Stack) -> None:
    """Kill Valkey, and start it again."""
    stack.kill("valkey", "KILL")
    time.sleep(VALKEY_AWAY_SECONDS)
    stack.start("valkey")


def make_valkey_read_only(stack: Stack) -> None:
    """Demote Valkey to a replica, which refuses every write, and promote it again."""
    # Nothing listens on port 1, so the replica keeps its data.
    _valkey(stack, "replicaof 127.0.0.1 1")
    time.sleep(READ_ONLY_SECONDS)
    _valkey(stack, "replicaof no one")


def replace_app(stack: Stack) -> None:
    """Put a container with a long drain in the place of the app's."""
    stack.configure(drain_seconds=LONG_DRAIN_SECONDS)
    done = stack.run("up", "--detach", "--no-deps", "--force-recreate", "app")
    assert done.returncode == 0, done.stderr


def stop_worker(stack: Stack) -> None:
    """Stop one worker of the app, whose streams then end over the long drain."""
    leaving = stack.workers()[0]
    stack.signal_within(leaving, "TERM")
    wait_for(
        "the end of the worker", lambda: leaving not in stack.workers(), LONG_DRAIN_SECONDS + 20
    )


def _valkey(stack: Stack, command: str) -> None:
    """Send Valkey a command, which it must answer with OK."""
    done = stack.exec("valkey", "valkey-start", "cli", *command.split())
    assert done.stdout.strip() == "OK", done.stdout + done.stderr


FAULTS = (
    Fault("worker killed", kill_worker),
    Fault("app reloaded", reload_app),
    Fault("nginx reloaded", reload_nginx),
    Fault("nginx restarted", restart_nginx),
    Fault("Valkey killed", kill_valkey),
    Fault("Valkey read-only for 20 s", make_valkey_read_only),
    Fault("app replaced", replace_app),
    # After the replacement, which gives the app its long drain.
    Fault("one worker stopped, with a drain of 20 s", stop_worker),
)

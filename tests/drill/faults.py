"""What is done to the service while it works."""

import time
from collections.abc import Callable
from typing import NamedTuple

from compose import Stack
from service import wait_for

# The engine stays dead for so long: publishes meet it, and not only the connections it held.
ENGINE_AWAY_SECONDS = 1


class Fault(NamedTuple):
    """One thing that happens to a service.

    Attributes:
        name: As the report calls it.
        strike: Does it, and returns once every stream that it ends has ended.
    """

    name: str
    strike: Callable[[Stack], None]


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


def kill_engine(stack: Stack) -> None:
    """Kill Valkey, and start it again."""
    stack.kill("valkey", "KILL")
    time.sleep(ENGINE_AWAY_SECONDS)
    stack.start("valkey")


def replace_app(stack: Stack) -> None:
    """Put a new container in the place of the app's."""
    done = stack.run("up", "--detach", "--no-deps", "--force-recreate", "app")
    assert done.returncode == 0, done.stderr


FAULTS = (
    Fault("worker killed", kill_worker),
    Fault("app reloaded", reload_app),
    Fault("nginx reloaded", reload_nginx),
    Fault("Valkey killed", kill_engine),
    Fault("app replaced", replace_app),
)

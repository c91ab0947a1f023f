"""A rollout of a release onto itself, in the steps of deploy/rollout, on this machine's Docker."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compose import Stack

OVERLAY = Path(__file__).parent / "green_app.yml"

# The services of Compose, each with the name of its folder of sockets.
INSTANCES = {"app": "main", "green": "green"}


def begin(stack: Stack, service: str) -> None:
    """Start the app under another name beside the one that serves, and wait until it is healthy."""
    _must(stack, "up", "--detach", "--wait", "--no-deps", service)


def switch(stack: Stack, service: str) -> None:
    """Lead nginx to it, by one rename of a link."""
    folder = INSTANCES[service]
    link = f"cd /run/barestream && ln -sfn {folder} next && mv -T next current"
    done = stack.exec(service, "sh", "-c", link)
    assert done.returncode == 0, done.stderr


def drain(stack: Stack, service: str) -> None:
    """Have the app that no longer serves end its streams evenly, and remove its container."""
    _must(stack, "stop", service)
    _must(stack, "rm", "--force", service)


def roll(stack: Stack, old: str, new: str) -> None:
    """Put the app with the new name in the place of the old one."""
    begin(stack, new)
    switch(stack, new)
    drain(stack, old)


@contextmanager
def removed(stack: Stack, service: str) -> Iterator[None]:
    """Remove its container in the end, which Compose's down leaves because of its profile."""
    try:
        yield
    finally:
        drain(stack, service)


def _must(stack: Stack, *arguments: str) -> None:
    done = stack.run("--profile", "rollout", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr

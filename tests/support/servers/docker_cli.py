"""The Docker Engine that tests with containers run on."""

import json
import shutil
import subprocess
from typing import Any


def docker_answers() -> bool:
    """Return whether there is a Docker, and Compose."""
    if shutil.which("docker") is None:
        return False
    commands = (["docker", "version"], ["docker", "compose", "version"])
    return all(
        subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
        for command in commands
    )


def docker(*arguments: str, seconds: float = 120) -> str:
    """Return what a command of Docker's client writes; it must succeed."""
    done = subprocess.run(
        ["docker", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"docker {arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def inspect(thing: str) -> dict[str, Any]:
    """Return what Docker says about a container or an image."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", thing))
    return found[0]

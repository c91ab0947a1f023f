"""Programs that tests need and that may be missing on a machine."""

import os
import shutil
import subprocess
from typing import NoReturn

import pytest

from support.servers.docker_cli import docker_answers


def path_of(program: str, package: str) -> str:
    """Return where a program is, or give up."""
    path = shutil.which(program)
    if path is None:
        give_up(f"{program} is missing: apt-get install {package}")
    return path


def require_docker() -> None:
    """Have a Docker with Compose, or give up."""
    if not docker_answers() and (program := os.environ.get("ENGINE_START")):
        subprocess.run([program], stdin=subprocess.DEVNULL, timeout=300, check=False)
    if not docker_answers():
        give_up("no Docker Engine with Compose v2 answers; ENGINE_START may name a program")


def give_up(sentence: str) -> NoReturn:
    """Skip for want of what cannot be had; on CI, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)

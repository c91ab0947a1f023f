"""A folder that stays from run to run, for what takes long to get."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.servers.environment import inherited


class MissingError(Exception):
    """Something cannot be had here; the message says what to install, or what went wrong."""


def made_from(source: Path, folder: Path, make: Callable[[Path], object]) -> Path:
    """Return a folder, made anew where it was made from something else.

    Args:
        source: The file that says what is in it: a lock, or a program's text.
        folder: The folder.
        make: Fills it.
    """
    stamp = folder / ".made-from"
    if not stamp.exists() or stamp.read_bytes() != source.read_bytes():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        stamp.write_bytes(source.read_bytes())
    return folder


def program(name: str, package: str) -> str:
    """Return where a program is."""
    path = shutil.which(name)
    if path is None:
        raise MissingError(f"{name} is missing: apt-get install {package}")
    return path


def run(
    *command: str | Path,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    most_seconds: float = 300,
) -> str:
    """Run a command, and return what it prints.

    Args:
        command: The command.
        folder: Where to run it.
        environment: What it gets beside the environment of this process.
        most_seconds: How long it may take.

    Raises:
        MissingError: It failed, or took longer.
    """
    words = " ".join(map(str, command))
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**inherited(), **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=most_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MissingError(f"{words}: not done after {most_seconds:g} s") from error
    if done.returncode:
        raise MissingError(f"{words}:\n{done.stdout}")
    return done.stdout

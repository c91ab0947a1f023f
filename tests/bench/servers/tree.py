"""A tree of this project's code: this one, or that of a commit beside it.

A tree is started by ``python -m barestream serve``, with its ``src/`` on the path and its settings
in the environment; it serves the client for pages from ``client/``, if it has one. A commit that
must be started in another way needs a change here.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.servers.cache import MissingError, made_from, run
from bench.servers.environment import variables
from bench.servers.process import Process
from support.servers.service import ROOT

_LOCK = "requirements.lock"


@dataclass(frozen=True)
class Tree:
    """Code, and the interpreter that has what it needs.

    Attributes:
        name: As a report calls it.
        folder: The root of the checkout.
        python: The interpreter's path.
    """

    name: str
    folder: Path
    python: Path

    @classmethod
    def of_commit(cls, commit: str, cache: Path) -> Self:
        """Return the tree of a commit of this repository, checked out into a folder of the cache.

        Args:
            commit: Any name of a commit that git knows.
            cache: The folder for it, and for its own environment if its lock differs from ours.

        Raises:
            MissingError: There is no such commit, or its requirements cannot be installed.
        """
        full = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
        if not full:
            raise MissingError(f"git knows no commit {commit!r} here")
        folder = cache / "trees" / full
        if not folder.exists():
            _check_out(full, folder)
        return cls(_git("rev-parse", "--short", full), folder, _python_for(folder, cache))

    def serve(self, **settings: object) -> Process:
        """Return its service, to be run alone; it keeps to no folder of its own."""
        command = (self.python, "-m", "barestream", "serve")
        return Process(*command, PYTHONPATH=str(self.folder / "src"), **variables(settings))


# The files as they stand here, committed or not.
HERE = Tree("here", ROOT, Path(sys.executable))


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _check_out(full: str, folder: Path) -> None:
    # It gets its name only when it is whole: an interrupted run must not leave half a tree.
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    archive = part / "archive.tar"
    there = _git("ls-tree", "--name-only", full, "src", "client", _LOCK).split()
    run("git", "archive", f"--output={archive}", full, *there, folder=ROOT)
    run("tar", "-xf", archive, folder=part)
    archive.unlink()
    part.rename(folder)


def _python_for(folder: Path, cache: Path) -> Path:
    lock = folder / _LOCK
    if lock.read_bytes() == (ROOT / _LOCK).read_bytes():
        return HERE.python

    def install(environment: Path) -> None:
        run(sys.executable, "-m", "venv", environment)
        pip = (environment / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check")
        run(*pip, "install", "--require-hashes", "-r", lock)

    return made_from(lock, cache / "trees" / f"{folder.name}-venv", install) / "bin/python"

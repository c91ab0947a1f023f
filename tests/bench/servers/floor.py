"""The floor: epoll and send, in C, and nothing else."""

from functools import partial
from pathlib import Path

from bench.servers.cache import made_from, program, run
from bench.servers.peer import Peer
from bench.servers.process import Process

_SOURCE = Path(__file__).parent / "floor.c"


class Floor(Peer):
    """`floor.c`."""

    name = "C floor"

    @classmethod
    def install(cls, cache: Path) -> Path:
        """Have it compiled."""
        return made_from(_SOURCE, cache / "floor", partial(_compile, program("cc", "gcc")))

    def process(self, _: Path) -> Process:
        """Return what is to run."""
        return Process(self._installed / "floor", str(self._port))


def _compile(compiler: str, folder: Path) -> None:
    run(compiler, "-O2", "-Wall", "-Wextra", "-o", "floor", _SOURCE, folder=folder)

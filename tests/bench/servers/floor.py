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
    key = "floor"

    @classmethod
    def install(cls, cache: Path) -> Path:
        """Have it compiled."""
        return made_from(_SOURCE, cache / "floor", partial(_compile, program("cc", "gcc")))

    @classmethod
    def versions(cls, installed: Path) -> dict[str, str]:  # noqa: ARG003 (the compiler tells)
        """Return the compiler's."""
        return {"cc": run(program("cc", "gcc"), "-dumpfullversion").strip()}

    def process(self, _: Path) -> Process:
        """Return what is to run."""
        return Process(self._installed / "floor", str(self._port))


def _compile(compiler: str, folder: Path) -> None:
    run(compiler, "-O2", "-Wall", "-Wextra", "-o", "floor", _SOURCE, folder=folder)

"""A process of an app that starts runs, for tests that stop and kill it.

Run as a program it starts one key several times at once, and tells what happens on its output: a
line of JSON for each thing. On SIGTERM it drains.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from support.servers.service import wait_for

SOURCES = Path(__file__).parents[3]


class Orders(NamedTuple):
    """What the process does.

    Attributes:
        url: The hub's URL.
        token: Its token.
        key: The key of the run.
        starts: How often it is started, at once.
        words: How many words the run makes.
        pause_seconds: Between two of them.
        drain_seconds: How long a run may go on when the process stops.
    """

    url: str
    token: str
    key: str
    starts: int = 1
    words: int = 100
    pause_seconds: float = 0.05
    drain_seconds: float = 0


class RunProcess:
    """The process, as its test sees it; a context that kills it at the end.

    Args:
        orders: What it does.
    """

    def __init__(self, orders: Orders) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.clients.run_process", json.dumps(orders._asdict())],
            env={**os.environ, "PYTHONPATH": f"{SOURCES / 'src'}:{SOURCES / 'tests'}"},
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._received = b""

    def __enter__(self) -> "RunProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def told(self, name: str) -> list[Any]:
        """Return what it has told of one kind so far."""
        assert self._process.stdout is not None
        self._received += self._process.stdout.read() or b""
        lines = [json.loads(line) for line in self._received.split(b"\n")[:-1]]
        return [line[name] for line in lines if name in line]

    def wait(self, name: str, count: int = 1) -> list[Any]:
        """Wait until it has told so much of one kind; return all of that."""
        wait_for(f"{count} of {name}", lambda: len(self.told(name)) >= count)
        return self.told(name)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def ended(self) -> int:
        """Wait until it has ended, and return its exit code."""
        return self._process.wait(60)


def _tell(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def _main(orders: Orders) -> None:
    from barestream.runs import Runs  # noqa: PLC0415 (the test's own process needs none)

    runs = Runs(orders.url, orders.token)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)

    async def words() -> AsyncIterator[str]:
        _tell(begun=os.getpid())
        try:
            for number in range(orders.words):
                yield f"{number} "
                _tell(made=number)
                await asyncio.sleep(orders.pause_seconds)
        finally:
            _tell(cleaned=time.monotonic())

    starts = [runs.start(orders.key, words) for _ in range(orders.starts)]
    for run in await asyncio.gather(*starts):
        _tell(run={"id": run.id, "topic": run.topic, "is_new": run.is_new})
    await stopping.wait()
    await runs.drain(orders.drain_seconds)
    _tell(drained=True)


if __name__ == "__main__":
    asyncio.run(_main(Orders(**json.loads(sys.argv[1]))))

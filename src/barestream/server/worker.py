"""The Gunicorn worker."""

import asyncio
import contextlib
import gc
import logging
import math
import mmap
import os
import signal
import sys
from typing import Any, ClassVar

from barestream.delivery.streams import StreamLimits
from barestream.server.gunicorn_parts import Arbiter
from barestream.server.open_files import most_connections
from barestream.server.protocol import Protocol
from barestream.server.server import DrainingServer
from barestream.server.uvicorn_parts import UvicornWorker

logger = logging.getLogger(__name__)

# The signals that end a worker and that it can handle.
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT)


class Worker(UvicornWorker):  # type: ignore[misc]  # uvicorn-worker has no types
    """Runs the application on uvloop and httptools, and drains when it stops."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": Protocol,
        "ws": "none",
        "server_header": False,
        # uvicorn would beat by the wall clock, and not beat after that clock was set back.
        "callback_notify": None,
    }

    # The number of this worker's slot.
    slot: int = 0

    # Whether each slot has a listener of its own, from which its worker accepts.
    has_own_listener = False

    # A client that reads nothing of an answer for this long is cut.
    slow_seconds: float = StreamLimits().slow_seconds

    sockets: list[Any]

    # Only the master uses these two: when it kills this worker, by the monotonic clock, and whether
    # it has sent this worker a QUIT to end its streams at once.
    leaves_by = math.inf
    is_hurried = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Made before the fork, so that the master and the worker share it.
        self._mark = mmap.mmap(-1, 1)
        self._has_lost_master = False
        # The initial time in the file of beats is not monotonic, so without this beat a worker that
        # hangs at its start would never be killed.
        self.notify()

    @property
    def is_leaving(self) -> bool:
        """Whether the worker is stopping; the master and the worker itself set it."""
        return self._mark[0] != 0

    @is_leaving.setter
    def is_leaving(self, value: bool) -> None:
        self._mark[0] = value

    def init_process(self) -> None:
        """Keep only the listener of this worker's slot, if it has one, then run."""
        if self.has_own_listener:
            kept = self.sockets[self.slot]
            for listener in self.sockets:
                if listener is not kept:
                    listener.close()
            self.sockets = [kept]
        super().init_process()

    def init_signals(self) -> None:
        """Unblock the signals that the master blocked during the fork."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        # Loaded modules stay in memory, and a stream that is over leaves no cycle of references.
        # With the defaults a garbage collection ran every ten connects and took a tenth of their
        # time, and a full one, over the objects of thousands of streams, held the loop for up to
        # 0.3 s.
        gc.freeze()
        gc.set_threshold(5_000, 5, 1_000)
        server = DrainingServer(self.config, self.slow_seconds, self._beat, self._leave)
        server.slot = self.slot
        server.server_state.most_connections = most_connections()
        # Gunicorn's master sends its workers QUIT if it got INT itself.
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGQUIT, server.handle_exit, signal.SIGQUIT, None
        )
        # uvloop closes the sockets a second time; Gunicorn's wrapper would log an error then.
        await server.serve(sockets=[listener.sock for listener in self.sockets])
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def _beat(self) -> None:
        self.notify()
        if os.getppid() != self.ppid and not self._has_lost_master:
            self._has_lost_master = True
            logger.error("the master (pid %d) has ended: this worker drains and ends", self.ppid)
            signal.raise_signal(signal.SIGTERM)

    def _leave(self) -> None:
        """Have the master start a successor at once; otherwise it may sleep for a second."""
        self.is_leaving = True
        if os.getppid() == self.ppid:
            with contextlib.suppress(ProcessLookupError):
                # SIGCHLD only makes the master look at its workers.
                os.kill(self.ppid, signal.SIGCHLD)

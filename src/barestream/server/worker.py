"""The Gunicorn worker."""

import asyncio
import gc
import signal
import sys
from typing import Any, ClassVar

from gunicorn.arbiter import Arbiter
from uvicorn_worker import UvicornWorker

from barestream.hub import HubLimits
from barestream.open_files import most_connections
from barestream.server.protocol import Protocol
from barestream.server.server import DrainingServer


class Worker(UvicornWorker):  # type: ignore[misc]  # uvicorn-worker has no types
    """Runs the application on uvloop and httptools, and drains when it is told to stop."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": Protocol,
        "ws": "none",
        "server_header": False,
    }

    # The one of Gunicorn's listeners that this worker accepts from; all of them where None.
    slot: int | None = None

    # A client that takes nothing of an answer for so long is cut.
    slow_seconds: float = HubLimits().slow_seconds

    sockets: list[Any]

    def init_process(self) -> None:
        """Keep the listener of this worker's slot alone, then run."""
        if self.slot is not None:
            kept = self.sockets[self.slot]
            for listener in self.sockets:
                if listener is not kept:
                    listener.close()
            self.sockets = [kept]
        super().init_process()

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        # What was loaded stays, and a stream that is over leaves no circle behind. By default a
        # collection came every ten connects, a tenth of their time, and a full one, through all
        # that thousands of streams hold, stopped the loop for up to 0.3 s.
        gc.freeze()
        gc.set_threshold(5_000, 5, 1_000)
        server = DrainingServer(self.config, self.notify, self.slow_seconds)
        server.server_state.most_connections = most_connections()
        # Gunicorn's master stops its workers by QUIT where it got INT itself.
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGQUIT, server.handle_exit, signal.SIGQUIT, None
        )
        # uvloop closes what it is given once more: Gunicorn's own wrapper would log an error.
        await server.serve(sockets=[listener.sock for listener in self.sockets])
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

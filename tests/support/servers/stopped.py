"""Processes that are stopped where they are, as by SIGSTOP."""

import contextlib
import os
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Stop processes while the context lasts, then let them go on in the reverse order.

    A master that is named first goes on last, and finds its workers running.

    A process may end before it is stopped: the loader of nginx's cache does so a minute after the
    start of nginx.
    """
    try:
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in reversed(pids):
            _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)

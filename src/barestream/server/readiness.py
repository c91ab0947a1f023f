"""Checks from another process that every worker of an instance is ready for streams, or alive."""

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path

from barestream_client.answers import problem

# The paths of the two questions.
READY, ALIVE = "/readyz", "/healthz"

# Longer than a worker's slowest answer, and shorter than Docker's timeout of a health check.
_TIMEOUT_SECONDS = 2


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        self.sock.connect(str(self._path))


def unready(sockets: list[Path], path: str = READY) -> list[str]:
    """Return a sentence for each socket whose worker is not ready, or not alive."""
    # All are asked at once: one after the other, stuck workers would exceed the time of a health
    # check.
    with ThreadPoolExecutor(len(sockets)) as pool:
        reasons = pool.map(lambda each: _why_unready(_UnixConnection(each), path), sockets)
        return [
            f"{each}: {reason}" for each, reason in zip(sockets, reasons, strict=True) if reason
        ]


def unready_at(address: str, path: str = READY) -> list[str]:
    """Return a sentence if the worker that answers at host:port is not ready, or not alive."""
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_SECONDS)
    reason = _why_unready(connection, path)
    return [f"{address}: {reason}"] if reason else []


def _why_unready(connection: http.client.HTTPConnection, path: str) -> str | None:
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except BlockingIOError:
        # A connect to a unix socket fails at once if its queue is full.
        return "the worker accepts no connection: its queue is full"
    except OSError as error:
        why = str(error) or type(error).__name__
        return f"no connection to the worker ({why}): is the service running?"
    except http.client.HTTPException as error:
        # It may quote a line, with its end.
        why = str(error).strip() or type(error).__name__
        return f"no answer of HTTP comes ({why!r}): another server listens there"
    finally:
        connection.close()
    if answer.status == HTTPStatus.OK:
        return None
    told = problem({"content-type": answer.getheader("content-type", "")}, body)
    if told is not None:
        why = str(told.get("detail"))
    elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # A worker tells no reason of a fault of its own.
        why = "without a reason"
    else:
        why = "another server listens there"
    return f"{path} answers {answer.status}: {why}"

"""Measures for how long no new request is served, by a request every 100 ms."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple, Self
from urllib.parse import urlencode

from support.clients.publisher import PATH, token
from support.servers.service import wait_for

STEP_SECONDS = 0.1
SERVED = "served"


class Request(NamedTuple):
    """When a request was over (time.monotonic), and its outcome."""

    ended_at: float
    became: str


class Outage:
    """Publishes, and opens streams, each on a connection of its own, while the context lasts.

    Args:
        address: Where nginx listens.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._over = threading.Event()
        self._headers = {
            "Authorization": f"Bearer {token()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._requests: dict[str, list[Request]] = {"POST": [], "GET": []}
        self._threads = [
            threading.Thread(target=self._ask, args=(method, ask))
            for method, ask in (("POST", self._publish), ("GET", self._open_stream))
        ]

    def __enter__(self) -> Self:
        """Return once each kind was served."""
        for thread in self._threads:
            thread.start()
        self._wait_for_service()
        return self

    def __exit__(self, *_: object) -> None:
        """Return once each kind is served again."""
        try:
            self._wait_for_service()
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()

    def _wait_for_service(self) -> None:
        seen = {method: len(requests) for method, requests in self._requests.items()}
        for method, requests in self._requests.items():
            wait_for(
                f"a {method} that is served",
                lambda method=method, requests=requests: any(
                    request.became == SERVED for request in requests[seen[method] :]
                ),
            )

    def _ask(self, method: str, ask: Callable[[http.client.HTTPConnection], str]) -> None:
        while not self._over.wait(STEP_SECONDS):
            connection = http.client.HTTPConnection(*self._address, timeout=30)
            try:
                became = ask(connection)
            except (OSError, http.client.HTTPException) as error:
                became = type(error).__name__
            finally:
                connection.close()
            self._requests[method].append(Request(time.monotonic(), became))

    def _publish(self, connection: http.client.HTTPConnection) -> str:
        connection.request("POST", PATH, urlencode({"topic": "outage"}), self._headers)
        status = connection.getresponse().status
        return SERVED if status == 200 else str(status)

    def _open_stream(self, connection: http.client.HTTPConnection) -> str:
        connection.request("GET", "/events")
        for line in connection.getresponse():
            if line.startswith(b"data: "):
                return SERVED
        return "told to retry"

    def seconds(self, method: str) -> float:
        """Return the longest time from the end of one served request to that of the next."""
        ends = [each.ended_at for each in self._requests[method] if each.became == SERVED]
        return max(later - earlier for earlier, later in pairwise(ends))

    @property
    def most_seconds(self) -> float:
        """The longest time in which one of both was not served."""
        return max(map(self.seconds, self._requests))

    def __str__(self) -> str:
        return "; ".join(
            f"{method} {self.seconds(method):.2f} s ({_counts(requests)})"
            for method, requests in self._requests.items()
        )


def _counts(requests: list[Request]) -> str:
    counts = Counter(each.became for each in requests)
    return ", ".join(f"{count} {became}" for became, count in counts.most_common())

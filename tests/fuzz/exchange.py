"""Bytes sent to a server, and the answer."""

import json
import socket
import time
from contextlib import suppress
from typing import Any

import httptools

from support.servers.served import Served

# As many updates as an example publishes: fillers push those of the example before out.
HISTORY_EVENTS = 3

# Every request is answered within this time, on a loaded machine too.
ANSWER_SECONDS = 20.0


class Watched(Served):
    """Our server, with the errors that it logged.

    Attributes:
        errors: The log's lines of level error and above.
    """

    def __init__(self, app: Any, errors: list[str]) -> None:
        super().__init__(app, ours=True)
        self.errors = errors

    def assert_well(self) -> None:
        """Fail if a request or a connection is left behind, or if an error was logged."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self.is_idle:
            assert time.monotonic() < deadline, "a connection or a request is left behind"
            time.sleep(0.0002)
        errors = self.errors[:]
        # Each example is judged by its own errors.
        self.errors.clear()
        assert not errors, errors[0]


class Expectation:
    """The requests in the bytes, by the server's own parser, which is not under test here.

    Attributes:
        methods: The methods of the requests whose heads are complete.
        whole: The number of complete requests.
        broken: Whether the rest is not HTTP.
    """

    def __init__(self, sent: bytes) -> None:
        self.methods: list[bytes] = []
        self.whole = 0
        self.broken = False
        self._url = b""
        self._parser = httptools.HttpRequestParser(self)
        # As uvicorn sets it.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        try:
            self._parser.feed_data(sent)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError:
            self.broken = True

    @property
    def is_answered(self) -> bool:
        """Whether the server answers now; otherwise it waits for more bytes."""
        return self.broken or self.whole > 0

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._url = b""

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._url += url

    def on_headers_complete(self) -> None:
        """Refuse the requests that uvicorn refuses: an exception here is an error of the parser."""
        httptools.parse_url(self._url).path.decode("ascii")
        self.methods.append(self._parser.get_method())

    def on_message_complete(self) -> None:
        """End a request."""
        self.whole += 1


def answer_to(address: tuple[str, int], sent: bytes) -> int | None:
    """Send bytes on a connection of their own, and return the status of the first answer.

    A stream is left as soon as it is open. None where there is nothing to answer yet, and the
    connection ends when it ends on this side.
    """
    expected = Expectation(sent)
    with socket.create_connection(address, timeout=ANSWER_SECONDS) as connection:
        # The server may close while it is still being written to.
        with suppress(ConnectionError):
            connection.sendall(sent)
            if not expected.is_answered:
                connection.shutdown(socket.SHUT_WR)
        try:
            status, headers, rest = _read_head(connection)
        except ConnectionError:
            # It closed with unread bytes, and the kernel dropped the end of its answer.
            assert expected.broken or not expected.is_answered
            return None
        if status is None:
            assert not expected.is_answered, "no answer"
            return None
        if headers.get("content-type") == "application/problem+json" and expected.methods[:1] != [
            b"HEAD"
        ]:
            length = int(headers["content-length"])
            while len(rest) < length:
                piece = connection.recv(65536)
                assert piece, "the answer ends before its end"
                rest += piece
            assert json.loads(rest[:length])["status"] == status
        return status


def _read_head(connection: socket.socket) -> tuple[int | None, dict[str, str], bytes]:
    received = b""
    while True:
        head, end, rest = received.partition(b"\r\n\r\n")
        if end and not head.startswith(b"HTTP/1.1 100 "):
            break
        if end:
            received = rest
            continue
        piece = connection.recv(65536)
        if not piece:
            assert not received, received
            return None, {}, b""
        received += piece
    first, *fields = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in fields)}
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1"
    return int(status), headers, rest

"""The body of a request with an Upgrade, which the server does not follow.

To the parser of the head, all that follows is another protocol.
"""

from collections.abc import Iterable
from typing import Protocol

import httptools


class BodyOwner(Protocol):
    """The connection that the body comes from."""

    def on_body(self, body: bytes) -> None:
        """Take a piece of it."""

    def on_message_complete(self) -> None:
        """Note that it is complete."""

    def ignore_input(self) -> None:
        """Ignore what follows."""


class _BodyBehindUpgrade:
    """The callbacks of the parser of such a body."""

    def __init__(self, owner: BodyOwner) -> None:
        self._owner = owner
        self._is_over = False

    def on_body(self, body: bytes) -> None:
        # The same bytes may hold another request, whose body must not be added to this one.
        if not self._is_over:
            self._owner.on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._owner.on_message_complete()
            self._owner.ignore_input()


def body_parser(
    owner: BodyOwner, fields: Iterable[tuple[bytes, bytes]]
) -> httptools.HttpRequestParser:
    """Return a parser of the body alone.

    Args:
        owner: The connection.
        fields: The fields of the request's head, which say how long the body is.
    """
    parser = httptools.HttpRequestParser(_BodyBehindUpgrade(owner))
    framing = next(
        b"%b: %b" % (name, value)
        for name, value in fields
        if name in {b"content-length", b"transfer-encoding"}
    )
    parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
    return parser

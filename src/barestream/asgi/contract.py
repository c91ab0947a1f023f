"""The names under which our server and an application find each other in ASGI's scopes."""

from collections.abc import Awaitable
from typing import Protocol

from barestream.delivery.writer import Writer

# The key of our extension in an ASGI scope's "extensions".
EXTENSION = "barestream.response"

# The key in an ASGI scope's "extensions" by which our server says that the body has come whole.
WHOLE_BODY = "barestream.whole_body"

# The key in an ASGI lifespan state under which our server takes coroutine functions to await
# when it drains.
ON_DRAIN = "barestream.on_drain"


class OpenResponse(Writer, Protocol):
    """A response whose body the server lets the application write directly.

    ``scope["extensions"]["barestream.response"]`` is a callable that returns it, to be called
    before the response starts. Its start and its end go by ASGI's own sends.
    """

    async def over(self) -> None:
        """Wait until the response may end: it was closed and its bytes have left, or the client
        has gone.
        """


class Drain(Protocol):
    """What an application asks to be awaited when its server stops."""

    def __call__(self, *, quick: bool) -> Awaitable[None]:
        """End what is open; at once where quick."""

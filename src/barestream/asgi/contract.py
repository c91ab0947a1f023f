"""The names that this project's server and an application use in ASGI's scopes."""

from collections.abc import Awaitable, Iterable
from typing import Protocol

from barestream.delivery.writer import Writer

# The key of the server's extension in an ASGI scope's "extensions".
EXTENSION = "barestream.response"

# The key of a second extension, a SendWhole. Only a request with a body has it, once the whole body
# has come: it is for the answers to publishes.
ANSWER = "barestream.answer"

# The key in an ASGI scope's "extensions" that the server sets once the whole body has come.
WHOLE_BODY = "barestream.whole_body"

# The key of a third extension, a LetPause. Only a request whose body is still to come has it.
LET_PAUSE = "barestream.let_pause"
# The attribute of an application whose calls the server may begin outside of a task. A call becomes
# a task when it goes on after its first wait. Until then it must not use what needs a task, such as
# asyncio.timeout, nor set a context variable.
BEGINS_AT_ONCE = "barestream_begins_at_once"

# The key in an ASGI scope's "extensions" of the whole body, as bytes, in a call that has begun so.
AT_ONCE = "barestream.at_once"

# The key in an ASGI lifespan state of the list of coroutine functions that the server awaits when
# it drains.
ON_DRAIN = "barestream.on_drain"

# The key in an ASGI lifespan state of the number of the worker's slot.
SLOT = "barestream.slot"


class OpenResponse(Writer, Protocol):
    """A response whose body the server lets the application write directly.

    ``scope["extensions"]["barestream.response"]`` is a callable that returns it; call it before
    the response starts. The start and the end of the response are ordinary ASGI sends.
    """

    def begin(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Start the response with status 200, in place of the ASGI send.

        Returns:
            Whether it has started; if not, the ASGI send is needed.
        """

    async def over(self) -> None:
        """Wait until the response may end: it was closed and its bytes have left, or the client
        has gone.
        """


class SendWhole(Protocol):
    """A coroutine function of the server, at ``scope["extensions"]["barestream.answer"]``."""

    def __call__(
        self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> Awaitable[None]:
        """Send an answer by one write, in place of the ASGI sends."""


class LetPause(Protocol):
    """A function of the server, at ``scope["extensions"]["barestream.let_pause"]``."""

    def __call__(self, seconds: int) -> None:
        """Wait so long for each further part of the body, in place of the server's own limit."""


class Drain(Protocol):
    """A coroutine function of an application that its server awaits when it stops."""

    def __call__(self, *, quick: bool) -> Awaitable[None]:
        """End all open streams, evenly over the drain's time, or at once if ``quick``."""

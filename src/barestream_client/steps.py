"""What the logic of the client asks of the world, one step at a time. Pure.

Each call of a hub is a generator, which yields steps and is sent their outcomes. ``Link`` takes the
steps with a loop, ``SyncLink`` without one; so the logic is written once.
"""

from collections.abc import Generator, Mapping
from typing import Any, NamedTuple, TypeVar

from barestream_client.answers import Answer, AwayError, UnauthorizedError, error_of
from barestream_client.retries import Retries

_Returned = TypeVar("_Returned")

# A hub answers within 5 s, also if Valkey does not answer.
ANSWER_SECONDS = 10.0


class Request(NamedTuple):
    """A request.

    Attributes:
        method: Its method.
        url: Its URL, without a query.
        params: Its query.
        headers: Its headers, without the token.
        body: Its body; None for none.
        silence_seconds: For how long the hub may send nothing, before its answer and within it.
    """

    method: str
    url: str
    params: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    silence_seconds: float = ANSWER_SECONDS

    def by(self, token: str | None) -> "Request":
        """Return the same with a token."""
        if token is None:
            return self
        return self._replace(headers={**self.headers, "Authorization": f"Bearer {token}"})


class Bearer(NamedTuple):
    """Its outcome is the token that counts now, or None."""


class Ask(NamedTuple):
    """Its outcome is the whole answer."""

    request: Request


class Open(NamedTuple):
    """Its outcome is the answer, without its body if that is an event stream: Read reads it."""

    request: Request


class Read(NamedTuple):
    """Its outcome is what comes next of the open stream; nothing at its end."""


class Close(NamedTuple):
    """Closes what Open has opened."""


class Wait(NamedTuple):
    """Waits."""

    seconds: float


class Take(NamedTuple):
    """Its outcome is what a source has ready, at least one item; nothing at its end."""

    most: int


Step = Bearer | Ask | Open | Read | Close | Wait | Take
Steps = Generator[Any, Any, _Returned]


def asking(request: Request, statuses: set[int], retries: Retries) -> Steps[Answer]:
    """Return an answer with one of the statuses; ask again while the hub is away.

    Raises:
        HubError: What the last answer means.
    """
    is_asked_again = False
    while True:
        try:
            token = yield Bearer()
            answer: Answer = yield Ask(request.by(token))
            if answer.status in statuses:
                retries.succeeded()
                return answer
            raise error_of(answer)
        except AwayError as error:
            yield Wait(retries.failed(error))
        except UnauthorizedError:
            # A token may have ended a moment ago; the function that returns it knows of a new one.
            if is_asked_again or (yield Bearer()) == token:
                raise
            is_asked_again = True

"""Has the streams of requests be known to those who may see who subscribes."""

import re
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from barestream.delivery.attendance import Attendance
from barestream.delivery.attendee import Attendee
from barestream.delivery.stream import Stream
from barestream.mercure.bearer import Bearer
from barestream.mercure.matchers import Matcher
from barestream.mercure.subscription_topics import selector_of_0
from barestream.web.event_stream import Source
from barestream.web.refusals import bad_request
from barestream.web.stream_request import StreamRequest

_CLIENT = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Attending:
    """Makes sources of streams that are registered while they are open.

    Args:
        attendance: Tells the registry of them.
        now: The wall clock, in seconds since 1970-01-01 UTC.
    """

    def __init__(self, attendance: Attendance, now: Callable[[], float]) -> None:
        self._attendance = attendance
        self._now = now

    def source(self, inner: Source, asked: StreamRequest, bearer: Bearer) -> Source:
        """Return the source of a stream.

        Args:
            inner: What the stream does.
            asked: Its request.
            bearer: Whose it is.

        Raises:
            Refused: 400 for a client that is not of the expected form.
        """
        client, selectors = client_name(asked), selectors_of(asked)

        def begin(stream: Stream) -> AbstractAsyncContextManager[None]:
            attendee = Attendee(
                uuid.uuid4().urn, selectors, bearer.identity, client, int(self._now() * 1000)
            )
            return _Attended(self._attendance, attendee, stream, inner(stream))

        return begin


class _Attended(AbstractAsyncContextManager[None]):
    __slots__ = ("_attendance", "_attendee", "_inner", "_stream")

    def __init__(
        self,
        attendance: Attendance,
        attendee: Attendee,
        stream: Stream,
        inner: AbstractAsyncContextManager[None],
    ) -> None:
        self._attendance = attendance
        self._attendee = attendee
        self._stream = stream
        self._inner = inner

    async def __aenter__(self) -> None:
        # First it follows: so who watches subscriptions sees its own.
        await self._inner.__aenter__()
        # One that was turned away is none.
        if self._stream.end_reason is None:
            self._attendance.begin(self._attendee)

    async def __aexit__(self, *error: object) -> None:
        self._attendance.end(self._attendee)
        await self._inner.__aexit__(None, None, None)


def selectors_of(asked: StreamRequest) -> tuple[Matcher, ...]:
    """Return what a request names to subscribe to, each once."""
    return tuple(dict.fromkeys(asked.matchers or map(selector_of_0, asked.topics)))


def client_name(asked: StreamRequest) -> str:
    """Return the name that a request's page gives itself; empty for none.

    Raises:
        Refused: 400 for a name that is not of the expected form, and for several.
    """
    if not asked.clients:
        return ""
    if len(asked.clients) > 1 or not _CLIENT.fullmatch(asked.clients[0]):
        raise bad_request(
            "client: expected one name of 1 to 64 letters and digits of ASCII, hyphens and _."
        )
    return asked.clients[0]

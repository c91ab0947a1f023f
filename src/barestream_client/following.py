"""A subscription that goes on after each cut, as steps. Pure."""

from typing import NamedTuple

from barestream_client.address import AddressError
from barestream_client.answers import (
    TURNED_AWAY,
    Answer,
    AwayError,
    UnauthorizedError,
    error_of,
    is_of_type,
    not_a_hub,
)
from barestream_client.bearer import is_access_token
from barestream_client.event_reader import EventReader, Received
from barestream_client.events import HEARTBEAT, READY, event_of
from barestream_client.retries import Retries
from barestream_client.steps import Bearer, Close, Open, Read, Request, Steps, Wait

# Four of the hub's heartbeats, as nginx waits for the hub.
SILENCE_SECONDS = 60.0

# As long as the hub's own delays, where a server names none.
_RECONNECT_SECONDS = 2.0

# The cursor that asks for all that the history has.
EARLIEST = "earliest"


class Topics(NamedTuple):
    """What a subscription asks for.

    Attributes:
        topics: Topics and, with a token of 0.x or none, templates; ``*`` stands for all.
        patterns: URL Patterns, which need Mercure 1.0.
        rewind: What comes first: ``10``, ``30s`` or ``kept``; None for nothing.
        is_ready_told: Whether an event says that all that was there at the start has come.
        silence_seconds: After how long a silence the connection counts as dead.
    """

    topics: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    rewind: str | None = None
    is_ready_told: bool = False
    silence_seconds: float = SILENCE_SECONDS

    def request(self, url: str, cursor: str | None, token: str | None) -> Request:
        """Return the request for its stream, from a cursor on."""
        # All parameters are of one version of Mercure, that of the token.
        is_of_1_0 = bool(self.patterns) or (token is not None and is_access_token(token))
        params = [("match" if is_of_1_0 else "topic", topic) for topic in self.topics]
        params += [("match_urlpattern", pattern) for pattern in self.patterns]
        # Hubs of others ignore these.
        params += [("include", "match,ready" if self.is_ready_told else "match")]
        params += [("heartbeat", "event")]
        params += [("rewind", self.rewind)] if self.rewind else []
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if cursor == EARLIEST:
            params += [("last_event_id", cursor)]
            if not is_of_1_0:
                # As other hubs of 0.x spell it.
                params += [("lastEventID", cursor)]
        elif cursor is not None:
            headers["Last-Event-ID"] = cursor
        return Request("GET", url, tuple(params), headers, None, self.silence_seconds).by(token)


class Progress:
    """How far a subscription has come.

    Attributes:
        cursor: The id of the last event; None before the first one. A subscription from this
            cursor goes on after it.
        was_open: Whether the hub has sent anything.
        delay_seconds: How long to wait after the end of a stream.
    """

    def __init__(self, cursor: str | None) -> None:
        self.cursor = cursor
        self.was_open = False
        self.delay_seconds = _RECONNECT_SECONDS
        self._is_ready = False

    def passes_over(self, received: Received) -> bool:
        """Take note of an event; return whether it is only for the client itself."""
        self.cursor = received.id or self.cursor
        if received.type == READY:
            # Each stream begins with one, and the subscription with the first.
            was_ready, self._is_ready = self._is_ready, True
            return was_ready
        return received.type == HEARTBEAT


def following(url: str, topics: Topics, progress: Progress, retries: Retries) -> Steps[None]:
    """Yield each event among the steps; return when all topics have ended.

    Raises:
        HubError: The hub refuses the subscription, or was away for too long.
    """
    refused_token: str | None = None
    while True:
        token = None
        progress.delay_seconds = _RECONNECT_SECONDS
        try:
            token = yield Bearer()
            answer: Answer = yield Open(topics.request(url, progress.cursor, token))
            if answer.status == 204:
                return
            _check(answer)
            yield from _reading(answer, progress, retries)
            delay = progress.delay_seconds
        except UnauthorizedError:
            # The stream ended with its token; the function that returns it may know of another.
            if token is None or token == refused_token:
                raise
            refused_token = token
            delay = 0.0
        except (AwayError, AddressError) as error:
            if isinstance(error, AwayError):
                away = error
            elif progress.was_open:
                # A machine without a network, such as one that wakes up, finds no host.
                away = AwayError(str(error))
            else:
                raise
            delay = retries.failed(away, progress.delay_seconds if progress.was_open else 0)
        yield Close()
        yield Wait(delay)


def _reading(answer: Answer, progress: Progress, retries: Retries) -> Steps[None]:
    """Yield the events of one stream, up to its end."""
    reader = EventReader()
    turned_away = answer.headers.get(TURNED_AWAY)
    while received := (yield Read()):
        for each in reader.feed(received):
            if each.retry_ms is not None:
                progress.delay_seconds = each.retry_ms / 1000
            elif each.data is not None and not progress.passes_over(each):
                yield event_of(each)
        if not turned_away:
            progress.was_open = True
            retries.succeeded()
    if turned_away:
        raise AwayError(f"the hub turns the stream away: {turned_away}")


def _check(answer: Answer) -> None:
    if answer.status != 200:
        raise error_of(answer)
    if not is_of_type(answer.headers, "text/event-stream"):
        raise not_a_hub(answer)

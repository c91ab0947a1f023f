"""Errors as answers."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus

from bareasgi import HttpRequest, HttpResponse

from barestream.asgi.problem import CONTENT_TYPE, content
from barestream.history.broker import BrokerAwayError
from barestream.mercure.patterns import TooManyPatternsError
from barestream.telemetry.metrics import Metrics
from barestream.web.answers import whole

# Seconds until a client may try again: a Valkey that was restarted mostly answers by then.
RETRY_AFTER = (b"retry-after", b"1")


def problem(
    status: HTTPStatus,
    detail: str,
    headers: Iterable[tuple[bytes, bytes]] = (),
    members: Mapping[str, object] | None = None,
) -> HttpResponse:
    """Return a response that says what is wrong, with further members in its body."""
    all_headers = [(b"cache-control", b"no-store"), *headers]
    body = content(status, detail, members)
    return whole(CONTENT_TYPE, body, status=status, headers=all_headers)


class Refused(Exception):  # noqa: N818 (an answer, not a fault of this program)
    """A request that is answered with a problem.

    Args:
        status: The answer's status.
        detail: What is wrong, for the client.
        headers: Headers in addition to those of every problem.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self._detail = detail
        self._headers = headers

    def within(self, part: str) -> "Refused":
        """Return the same refusal, of a part of the request."""
        return Refused(self.status, f"{part}: {self._detail}", self._headers)

    def response(self, members: Mapping[str, object] | None = None) -> HttpResponse:
        """Return the answer, with further members in its body."""
        return problem(self.status, self._detail, self._headers, members)


async def answered(
    request: HttpRequest, answer: Callable[[HttpRequest], Awaitable[HttpResponse]]
) -> HttpResponse:
    """Return the answer to a request that publishes nothing, or why there is none."""
    try:
        return await answer(request)
    except TooManyPatternsError:
        return too_many_patterns("Try again later.").response()
    except BrokerAwayError as error:
        detail = f"The history {error.words}. The request can be sent again."
        return Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, [RETRY_AFTER]).response()
    except Refused as refused:
        return refused.response()


def counted(
    metrics: Metrics, refused: Refused, members: Mapping[str, object] | None = None
) -> HttpResponse:
    """Return the answer to a refused request of a publisher, once it is counted."""
    metrics.refused.labels(refused.status.value).inc()
    return refused.response(members)


def topic_ended(what: str, outcome: str = "") -> Refused:
    """Return the refusal of an update of a topic that has ended.

    Args:
        what: The beginning of the sentence, up to "has ended" or further.
        outcome: As for too_much_kept.
    """
    return Refused(
        HTTPStatus.CONFLICT,
        f"{what}. It takes no further updates until the hub forgets it, at most "
        f"BARESTREAM_ENDED_SECONDS after its end. {outcome}Publish to another topic.",
    )


def too_many_patterns(outcome: str) -> Refused:
    """Return the refusal of a token for whose URL Patterns there is no room.

    Args:
        outcome: What became of the request.
    """
    return Refused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"The worker holds as many URL Patterns as BARESTREAM_URL_PATTERNS allows. {outcome}",
        [RETRY_AFTER],
    )


def too_much_kept(outcome: str = "") -> Refused:
    """Return the refusal of an update that is to be kept and finds no room.

    Args:
        outcome: What became of the request, as a sentence with a space after it; empty where
            the answer says that elsewhere.
    """
    return Refused(
        HTTPStatus.INSUFFICIENT_STORAGE,
        "The hub keeps as many values as BARESTREAM_KEPT_VALUES allows, or as large ones as "
        f"BARESTREAM_KEPT_BYTES allows, so it can keep no further one. {outcome}Clear the values "
        "of other topics with keep=0, publish without keep, or raise the settings.",
    )


def bad_request(detail: str) -> Refused:
    """Return the refusal of malformed input."""
    return Refused(HTTPStatus.BAD_REQUEST, detail)


def too_large(detail: str) -> Refused:
    """Return the refusal of input that is too large."""
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)

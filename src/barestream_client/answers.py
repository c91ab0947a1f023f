"""What the answers of a hub mean. Pure."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from barestream_client.address import AddressError, HubError

# The type of every error of the hub and its nginx. One without it comes from something else on the
# way, or from another hub of Mercure.
PROBLEM_TYPE = "application/problem+json"

# The answers after which the same request may succeed: too many requests, and those of a proxy or a
# hub that cannot answer yet.
AWAY = frozenset({429, 500, 502, 503, 504})

# The header in which the hub, and nginx in front of it, say why a stream is turned away. The answer
# is a stream that ends at once, because an EventSource does not come back after any other.
TURNED_AWAY = "barestream-turned-away"

# How much of an answer that is none of barestream's is quoted.
_QUOTED_CHARACTERS = 200


class Answer(NamedTuple):
    """An answer of HTTP.

    Attributes:
        asked: The method and the path of its request, for messages.
        status: Its status.
        headers: Its headers, by their names in lower case.
        body: Its body; empty for a stream that is still open.
    """

    asked: str
    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class AwayError(HubError):
    """The hub cannot be reached or cannot answer; the same request may succeed later.

    Attributes:
        retry_after_seconds: How long the hub asks to wait; None where it says nothing.
    """

    def __init__(self, why: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(why)
        self.retry_after_seconds = retry_after_seconds


class UnauthorizedError(HubError):
    """The hub takes no such token: it is missing, not valid, or has ended. Get another one."""


class ForbiddenError(HubError):
    """The token does not cover what was asked for. Get one with more rights."""


class RefusedError(HubError):
    """The hub refuses what was sent, and would refuse it again: the message names the fault."""


class EndedError(RefusedError):
    """A topic has ended: it takes no updates until the hub forgets it."""


class NoRoomError(RefusedError):
    """The update was to be kept, and the hub has no room for a further kept value."""


class SupersededError(RefusedError):
    """A producer of the same name has started again, with a later epoch. Stop this one."""


class MissingUpdatesError(RefusedError):
    """Updates of the producer before these are missing.

    Attributes:
        expected: The number that the hub expects next.
    """

    def __init__(self, why: str, expected: int) -> None:
        super().__init__(why)
        self.expected = expected


def is_of_type(headers: Mapping[str, str], media_type: str) -> bool:
    """Return whether an answer has a media type, whatever its parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == media_type


def problem(headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
    """Return the content of an error of the hub (RFC 9457); None for any other answer."""
    return json_object(body) if is_of_type(headers, PROBLEM_TYPE) else None


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return an object in JSON; None for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def error_of(answer: Answer) -> HubError:
    """Return what an answer means that is not the one that was hoped for."""
    told = problem(answer.headers, answer.body)
    detail = str(told.get("detail", "")) if told is not None else _quoted(answer)
    words = f"{answer.asked} was answered with {answer.status}{': ' if detail else ''}{detail}"
    if answer.status in AWAY:
        return AwayError(words, _retry_after(answer.headers))
    if 300 <= answer.status < 400:
        to = answer.headers.get("location", "nowhere")
        return AddressError(f"{words}: it redirects to {to}; use the URL that it redirects to")
    if answer.status in {404, 405, 501} or (told is None and answer.status in {*range(300), 407}):
        return AddressError(f"{words.rstrip('.')}. That is no answer of a hub: check the URL")
    return _of_producer(answer, words) or _KINDS.get(answer.status, RefusedError)(words)


_KINDS: dict[int, type[HubError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    409: EndedError,
    507: NoRoomError,
}


def _of_producer(answer: Answer, words: str) -> HubError | None:
    """Return what an answer to a producer means; None for any other answer."""
    expected = answer.headers.get("producer-expected-seq", "")
    if answer.status == 409 and expected.isdecimal():
        return MissingUpdatesError(words, int(expected))
    is_of_older_epoch = answer.status == 403 and "producer-epoch" in answer.headers
    return SupersededError(words) if is_of_older_epoch else None


def not_a_hub(answer: Answer) -> AddressError:
    """Return the error of an answer whose content is none of a hub's."""
    kind = answer.headers.get("content-type", "no type of content")
    return AddressError(
        f"{answer.asked} was answered with {answer.status} and {kind}. That is no answer of a hub: "
        "check the URL"
    )


def _quoted(answer: Answer) -> str:
    """Return the text of an answer that is none of barestream's; empty if it is no short text."""
    if not is_of_type(answer.headers, "text/plain"):
        return ""
    text = answer.body.decode(errors="replace").strip().partition("\n")[0]
    return text[:_QUOTED_CHARACTERS] if text.isprintable() else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "")
    # The other form, a date, would need this machine's clock to be right.
    return float(value) if value.isdecimal() and len(value) < 6 else None

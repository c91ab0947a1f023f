"""The calls of a hub that have one answer, as steps. Pure."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from barestream_client.answers import (
    Answer,
    RefusedError,
    error_of,
    json_object,
    not_a_hub,
    problem,
)
from barestream_client.bearer import is_access_token
from barestream_client.retries import Retries
from barestream_client.steps import Request, Steps, asking
from barestream_client.updates import Update

# The parts of what an explanation goes by.
_EVIDENCE = ("event", "stream", "token", "history")

_FORM = "application/x-www-form-urlencoded"


class Member(NamedTuple):
    """Somebody who is there.

    Attributes:
        id: The member's id, from the token.
        payload: What the token says of the member.
        subscriptions: How many subscriptions of the topic the member has.
        since: When the first of them began, as the hub writes it.
    """

    id: str
    payload: Any
    subscriptions: int
    since: str


class Presence(NamedTuple):
    """Who is there at a topic.

    Attributes:
        topic: The topic.
        cursor: The place in the history that this is true at.
        member_count: How many members there are.
        subscription_count: How many subscriptions there are, also those of nobody who is named.
        members: The members; empty where only the counts were asked for.
    """

    topic: str
    cursor: str
    member_count: int
    subscription_count: int
    members: tuple[Member, ...]


class Position(NamedTuple):
    """How far a producer has come with a topic.

    Attributes:
        epoch: Its epoch.
        next: The number that the hub expects next.
        last_id: The id of its newest update; None if it has none.
    """

    epoch: int
    next: int
    last_id: str | None


class Explanation(NamedTuple):
    """Why somebody gets an update, or does not.

    Attributes:
        verdict: ``delivered``, ``not_matched``, ``not_allowed``, ``trimmed``, ``ended`` or
            ``unknown``.
        why: The reason, in sentences.
        evidence: What the verdict goes by, as the hub tells it: ``event``, ``stream``, ``token``
            and ``history``.
    """

    verdict: str
    why: str
    evidence: dict[str, Any]


class Question(NamedTuple):
    """A question why somebody gets an update, or does not.

    Attributes:
        event: The id of the update: the hub's, or its publisher's.
        as_token: The token of the one who it is about; None for somebody without one.
        topics: The topics of the stream.
        patterns: The URL Patterns of the stream.
    """

    event: str
    as_token: str | None = None
    topics: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def content(self) -> dict[str, Any]:
        """Return its fields, as the hub expects them."""
        # All of a stream's parameters are of one version of Mercure, that of its token.
        is_of_1_0 = self.patterns or (self.as_token is not None and is_access_token(self.as_token))
        fields = {
            "event": self.event,
            "token": self.as_token,
            "match" if is_of_1_0 else "topic": self.topics,
            "match_urlpattern": self.patterns,
        }
        return {name: value for name, value in fields.items() if value not in {None, ()}}


def publishing(url: str, update: Update, retries: Retries) -> Steps[str]:
    """Publish an update, and return its id."""
    # Each hub of Mercure takes a form.
    body = urlencode(update.with_id().form()).encode()
    answer = yield from asking(
        Request("POST", url, headers={"Content-Type": _FORM}, body=body), {200}, retries
    )
    return _id_of(answer)


def publishing_together(url: str, batch: bytes, retries: Retries) -> Steps[list[str]]:
    """Publish an array, all of it or nothing, and return the ids."""
    headers = {"Content-Type": "application/json"}
    request = Request("POST", url, headers=headers, body=batch)
    answer = yield from asking(request, {200}, retries)
    ids = (json_object(answer.body) or {}).get("ids")
    if not isinstance(ids, list):
        raise not_a_hub(answer)
    return ids


def asking_for_cursor(url: str, topics: Iterable[str], retries: Retries) -> Steps[str]:
    """Return the newest cursor of the history."""
    params = tuple(("topic", topic) for topic in topics)
    answer = yield from asking(Request("HEAD", url, params), {200}, retries)
    for name in ("last-event-id", "mercure-last-event-id"):
        if name in answer.headers:
            return answer.headers[name]
    raise not_a_hub(answer)


def asking_for_position(
    url: str, topic: str, producer: str, retries: Retries
) -> Steps[Position | None]:
    """Return how far a producer has come with a topic; None if the hub does not know it."""
    request = Request("GET", f"{url}/publish-stream", (("topic", topic), ("producer", producer)))
    answer = yield from asking(request, {200, 404}, retries)
    found = json_object(answer.body)
    if found is not None and answer.status == 404:
        return None
    try:
        assert found is not None  # noqa: S101 (becomes the error below)
        return Position(int(found["epoch"]), int(found["next"]), found["last_id"])
    except (AssertionError, LookupError, TypeError, ValueError):
        raise not_a_hub(answer) from None


def asking_who_is_there(
    url: str, topic: str, retries: Retries, *, counts_only: bool
) -> Steps[Presence]:
    """Return who is there at a topic."""
    params = (("topic", topic), *((("include", "counts"),) if counts_only else ()))
    answer = yield from asking(Request("GET", f"{url}/presence", params), {200}, retries)
    try:
        found = json_object(answer.body) or {}
        members = tuple(
            Member(each["id"], each.get("payload"), each["subscriptions"], each["since"])
            for each in found.get("members", [])
        )
        counts = int(found["member_count"]), int(found["subscription_count"])
        return Presence(found["topic"], found["cursor"], *counts, members)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise not_a_hub(answer) from None


def asking_for_figures(url: str, retries: Retries) -> Steps[dict[str, Any]]:
    """Return what each worker of the hub does."""
    answer = yield from asking(Request("GET", f"{url}/figures"), {200, 404}, retries)
    if answer.status == 404 and problem(answer.headers, answer.body) is not None:
        raise RefusedError("the hub tells no figures: its release is older than this client's")
    found = json_object(answer.body)
    if found is None or not {"totals", "workers", "steady_seconds"} <= found.keys():
        raise not_a_hub(answer)
    return found


def asking_why(url: str, question: Question, retries: Retries) -> Steps[Explanation]:
    """Return why somebody gets an update, or does not."""
    headers = {"Content-Type": "application/json"}
    body = json.dumps(question.content()).encode()
    # It changes nothing, so it can be asked again.
    request = Request("POST", f"{url}/why", headers=headers, body=body)
    answer = yield from asking(request, {200, 404}, retries)
    if answer.status == 404:
        error = error_of(answer)
        error.add_note("Or the hub's release is an earlier one, which does not know this question.")
        raise error
    found = json_object(answer.body) or {}
    verdict, why = found.pop("verdict", None), found.pop("why", None)
    if not isinstance(verdict, str) or not isinstance(why, str):
        raise not_a_hub(answer)
    if not all(isinstance(found.get(part), dict) for part in _EVIDENCE):
        raise not_a_hub(answer)
    return Explanation(verdict, why, found)


def _id_of(answer: Answer) -> str:
    """Return the id that a publish of a form is answered with."""
    text = answer.body.decode(errors="replace").strip()
    # A page where people log in, for instance, is answered with 200 too.
    if not text.isascii() or not text.isprintable() or not 0 < len(text) < 2048 or "<" in text[:1]:
        raise not_a_hub(answer)
    return text

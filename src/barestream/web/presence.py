"""/.well-known/mercure/presence: who is there, by user. And leave, for those who go."""

import json
from datetime import UTC, datetime
from typing import Any

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.attendee import selector_text
from barestream.delivery.time_slices import Slices
from barestream.history.subscriptions import Member, Registry
from barestream.mercure.matchers import Matcher
from barestream.mercure.subscription_topics import presence_topic
from barestream.mercure.topics import EVERYTHING, MOST_CHARACTERS
from barestream.web.answers import no_content, whole
from barestream.web.attending import client_name, selectors_of
from barestream.web.authorization import Authorization
from barestream.web.body import FORM_TYPE, JSON_TYPE, body_type, not_of_type, read_whole
from barestream.web.form import Form, fields, query
from barestream.web.refusals import answered, bad_request
from barestream.web.stream_request import MOST_BODY_BYTES, StreamRequest

# What browsers send a text as, also that of sendBeacon, without asking the hub before.
_TEXT_TYPE = b"text/plain"

_MOST_AFTER_SECONDS = 3600


class Presence:
    """The handlers.

    Args:
        registry: Knows the subscriptions.
        authorization: Determines what a client may read.
        slices: The slices of long work.
    """

    def __init__(self, registry: Registry, authorization: Authorization, slices: Slices) -> None:
        self._registry = registry
        self._authorization = authorization
        self._slices = slices

    async def read(self, request: HttpRequest) -> HttpResponse:
        """Answer with the members of a topic, or with their number alone."""
        return await answered(request, self._read)

    async def leave(self, request: HttpRequest) -> HttpResponse:
        """End subscriptions of the sender at once, or have the hub wait for it for longer."""
        return await answered(request, self._leave)

    async def _read(self, request: HttpRequest) -> HttpResponse:
        form = query(request)
        topics, includes = form.get("topic", []), form.get("include", [])
        if len(topics) != 1 or topics[0] in {"", EVERYTHING}:
            raise bad_request("topic: expected one, whose members are asked for.")
        if includes not in ([], ["counts"]):
            raise bad_request("include: expected counts, or no such parameter.")
        [topic] = topics
        if len(topic) > MOST_CHARACTERS:
            raise bad_request(
                f"The topic has {len(topic)} characters; at most {MOST_CHARACTERS} are allowed."
            )
        bearer, _ = await self._authorization.client(request, from_any_page=True)
        right = presence_topic(topic)
        await self._authorization.allow_subscribe(request, bearer, right, self._slices)
        found = await self._registry.members(
            selector_text(Matcher(topic)), counts_only=bool(includes)
        )
        counts = {
            "topic": topic,
            "cursor": str(found.place),
            "member_count": found.member_count,
            "subscription_count": found.subscription_count,
        }
        text = json.dumps(counts)
        if not includes:
            members = []
            for member in found.members:
                members.append(_told(member))
                await self._slices.step()
            text = f'{text[:-1]}, "members": [{", ".join(members)}]}}'
        return whole(JSON_TYPE, text.encode())

    async def _leave(self, request: HttpRequest) -> HttpResponse:
        bearer, _ = await self._authorization.client(request, from_any_page=False)
        if body_type(request) not in {FORM_TYPE, _TEXT_TYPE}:
            raise not_of_type(FORM_TYPE, _TEXT_TYPE)
        encoded = await read_whole(request, MOST_BODY_BYTES)
        # The body may have taken its time.
        self._authorization.check_not_revoked(request, bearer)
        form = fields(encoded)
        asked = StreamRequest.of_form(form, encoded)
        client, after_ms = client_name(asked), _after_ms(form)
        identities = list(bearer.identity.keys())
        if client and not identities:
            identities = [""]
        if not identities:
            raise bad_request(
                "The token names nobody: it has neither sub nor payload. So client must say which "
                "page leaves."
            )
        selectors = None
        if asked.version is not None:
            selectors = list(map(selector_text, selectors_of(asked)))
        for identity in identities:
            # Who has no name cannot come back: strangers would only fill the registry for longer.
            if identity or not after_ms:
                await self._registry.leave(identity, client, selectors, after_ms)
        return no_content()


def _after_ms(form: Form) -> int:
    values = form.get("after_seconds", ["0"])
    try:
        [text] = values
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _MOST_AFTER_SECONDS:
        raise bad_request(
            f"after_seconds: expected a number of seconds from 0 to {_MOST_AFTER_SECONDS}."
        )
    return round(1000 * seconds)


def _told(member: Member) -> str:
    of_event: dict[str, Any] = json.loads(member.data)["member"]
    since = datetime.fromtimestamp(member.since_ms / 1000, UTC)
    return json.dumps(
        {
            **of_event,
            "subscriptions": member.subscriptions,
            "since": since.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
    )

"""POST /.well-known/mercure/why: why does somebody get an update, or not?"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.explanation import (
    Basis,
    Case,
    Explanation,
    Match,
    Presented,
    explain,
    matches,
)
from barestream.delivery.subscription import Subscription
from barestream.delivery.tail import Tail
from barestream.delivery.whereabouts import is_in_lanes, whereabouts
from barestream.history.broker import BrokerAwayError
from barestream.history.subscriptions import Registry
from barestream.mercure.matchers import Matcher
from barestream.mercure.selectors import Selectors
from barestream.mercure.topics import PATH
from barestream.web.answers import whole
from barestream.web.authorization import Authorization
from barestream.web.body import JSON_TYPE
from barestream.web.refusals import answered
from barestream.web.selector_reader import SelectorReader
from barestream.web.stream_request import switched_off
from barestream.web.token_reader import TokenReader
from barestream.web.why_request import WhyRequest

WHY = f"{PATH}/why"

# The answer names what matches, so an identity's streams are read whole up to so many selectors:
# five streams with as many topics as one may have by default.
_MOST_REGISTERED = 500

_NO_SELECTORS = Selectors(())


@dataclass(frozen=True, slots=True)
class Why:
    """The handler.

    Attributes:
        tail: Fills the feed that the streams follow.
        authorization: Determines who may operate the hub.
        tokens: Reads the token that a question names.
        selectors: Reads what a question says of a stream.
        registry: Knows who subscribes to what; None if that is not registered.
    """

    tail: Tail
    authorization: Authorization
    tokens: TokenReader
    selectors: SelectorReader
    registry: Registry | None

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with a verdict, and what it goes by; never with an update's data."""
        return await answered(request, self._answer)

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        operator = await self.authorization.operator(request)
        asked = await WhyRequest.read(request)
        # The body may have taken its time.
        self.authorization.check_not_revoked(request, operator)
        version = asked.stream.version if asked.stream else None
        if version is not None and not self.authorization.speaks(version):
            raise switched_off(version)
        if not self.tail.filled:
            raise BrokerAwayError("the history was not read yet", words=self.tail.words)
        presented = await self.tokens.read(asked.token, version)
        basis, wanted = await self._wanted(asked, presented)
        case = await self._case(asked.event, presented, basis, wanted)
        content = _content(case, explain(case))
        return whole(JSON_TYPE, json.dumps(content).encode())

    async def _wanted(
        self, asked: WhyRequest, presented: Presented
    ) -> tuple[Basis, Selectors | None]:
        """Return what the streams in question subscribe to, and where that is known from."""
        if asked.stream is not None:
            return Basis.REQUEST, await self.selectors.read(asked.stream)
        if self.registry is not None and presented.bearer is not None:
            keys = [*presented.bearer.identity.keys()]
            texts = [
                each.selector
                for key in keys
                for each in await self.registry.of_identity(key, _MOST_REGISTERED)
            ]
            if texts:
                parts = [each.partition(":") for each in dict.fromkeys(texts)]
                registered = [Matcher(match, match_type) for match_type, _, match in parts]
                return Basis.SUBSCRIPTIONS, await self.selectors.read_registered(registered)
        return Basis.TOKEN, None

    async def _case(
        self, event_id: str, presented: Presented, basis: Basis, wanted: Selectors | None
    ) -> Case:
        tail = self.tail
        is_exact = wanted is not None and wanted.is_exact
        where = await whereabouts(tail, event_id, [*wanted.exact] if wanted and is_exact else None)
        readable = _NO_SELECTORS if presented.bearer is None else presented.bearer.subscribe
        case = Case(presented, where, basis)
        update = where.update
        if update is not None:
            slices = tail.slices
            case = case._replace(
                matched=await slices.work(matches(wanted or _NO_SELECTORS, update.topics, slices)),
                covered=await slices.work(matches(readable, update.topics, slices)),
            )
        if wanted is None:
            return case
        subscription = Subscription(wanted, readable)
        if update is not None and where.is_in_history and case.matched:
            case = case._replace(is_in_lanes=await is_in_lanes(tail, subscription, update))
        feed = tail.feed
        return case._replace(is_over=feed.ends.are_over(subscription, feed.ring.last))


def _content(case: Case, explanation: Explanation) -> dict[str, object]:
    where, presented = case.where, case.presented
    update, bearer = where.update, presented.bearer
    is_unknown = update is None
    lacks_right = update is not None and update.private and bearer is not None and not case.covered
    has_token = bearer is None or bearer.token is not None
    return {
        "verdict": explanation.verdict.value,
        "why": explanation.why,
        "event": {
            "place": None if where.place is None else str(where.place),
            "topics": None if update is None else update.topics,
            "private": None if update is None else update.private,
            "published_at": None if update is None else update.place.ms / 1000,
            "updates_with_id": where.updates_with_id,
        },
        "stream": {
            "basis": case.basis.value,
            "matched": None if is_unknown or case.basis is Basis.TOKEN else _told(case.matched),
            "is_over": case.is_over,
        },
        "token": {
            "state": presented.cause or ("valid" if has_token else "none"),
            "detail": presented.detail or None,
            "expires_at": presented.expires_at,
            "may_read": None if bearer is None else [*bearer.subscribe],
            "covered": None if is_unknown or bearer is None else _told(case.covered),
            "needed": [*update.topics] if update is not None and lacks_right else None,
        },
        "history": {
            "has_event": where.is_in_history,
            "floor": str(where.floor),
            "oldest": None if where.oldest is None else str(where.oldest),
            "topics": [
                {"topic": topic, "public_floor": str(public), "private_floor": str(private)}
                for topic, (public, private) in where.topic_floors.items()
            ],
            "kept_for": where.kept_for,
            "ends": [
                {"topic": topic, "place": str(end.known.place), "until": end.until_ms / 1000}
                for topic, end in where.ends.items()
            ],
        },
    }


def _told(found: Sequence[Match]) -> list[dict[str, str]]:
    return [each._asdict() for each in found]

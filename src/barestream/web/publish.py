"""POST /.well-known/mercure: publish updates.

Source: https://mercure.rocks/spec#publication
"""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple, Protocol

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.time_slices import Slices
from barestream.history.broker import BrokerAwayError, TooMuchKeptError, TopicEndedError
from barestream.history.update import MOST_UPDATES, Update
from barestream.mercure.bearer import Bearer
from barestream.mercure.patterns import TooManyPatternsError
from barestream.telemetry.metrics import Metrics
from barestream.web.answers import whole
from barestream.web.authorization import Authorization
from barestream.web.body import FORM_TYPE, JSON_TYPE, body_type, not_of_type, read_whole
from barestream.web.form import fields
from barestream.web.json_body import parse
from barestream.web.refusals import (
    RETRY_AFTER,
    Refused,
    bad_request,
    counted,
    too_large,
    too_many_patterns,
    too_much_kept,
    topic_ended,
)
from barestream.web.update_reader import PublishRules, UpdateReader

# Each topic of the updates of one array takes Valkey up to 4 us (see MOST_UPDATES).
MOST_TOPICS = 1000


class _Outcomes(NamedTuple):
    """What became of a publish, for a publisher that got an error.

    Attributes:
        not_taken: It was certainly not accepted.
        maybe_taken: Nobody knows.
    """

    not_taken: str
    maybe_taken: str


_OF_ONE = _Outcomes(
    "The update was not accepted; it can be sent again.",
    "The update may or may not have been accepted. With an id of your own it can be sent again: it "
    "is kept once.",
)
_OF_SEVERAL = _Outcomes(
    "None of the updates was accepted; they can be sent again.",
    "Either all of the updates were accepted, or none. With ids of your own they can be sent "
    "again: each is kept once.",
)


class Keeper(Protocol):
    """Gives updates to the history (see Intake)."""

    async def publish(self, update: Update) -> str:
        """Have the history keep an update; return its id."""

    async def publish_all(self, updates: Sequence[Update]) -> list[str]:
        """Have the history keep some updates or none; return their ids."""


class Publish:
    """The handler."""

    def __init__(
        self,
        keeper: Keeper,
        authorization: Authorization,
        metrics: Metrics,
        rules: PublishRules,
        slices: Slices,
    ) -> None:
        self._keeper = keeper
        self._authorization = authorization
        self._metrics = metrics
        self._body_bytes = rules.body_bytes
        self._reader = UpdateReader(rules)
        self._slices = slices

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer 200 with the ids of the events once the broker has accepted the updates."""
        try:
            bearer = await self._authorization.publisher(request)
            sent_type = body_type(request)
            if sent_type == JSON_TYPE:
                ids = await self._publish_json(request, bearer)
                content_type, body = JSON_TYPE, json.dumps({"ids": ids}).encode()
            elif sent_type == FORM_TYPE:
                ids = await self._publish_form(request, bearer)
                content_type, body = b"text/plain; charset=utf-8", ids[0].encode()
            else:
                raise not_of_type(FORM_TYPE, JSON_TYPE)
        except TooManyPatternsError:
            return counted(self._metrics, too_many_patterns(_OF_ONE.not_taken))
        except Refused as refused:
            return counted(self._metrics, refused)
        self._metrics.published.inc(len(ids))
        return whole(content_type, body)

    async def _publish_form(self, request: HttpRequest, bearer: Bearer) -> list[str]:
        update = self._reader.of_form(fields(await read_whole(request, self._body_bytes)))
        await self._authorization.allow_publish(request, bearer, update.topics, self._slices)
        return await self._keep([update], together=False)

    async def _publish_json(self, request: HttpRequest, bearer: Bearer) -> list[str]:
        value = parse(await read_whole(request, self._body_bytes))
        # Parsing a large body takes as long as a slice or two.
        await self._slices.step()
        if not isinstance(value, list):
            update = self._reader.of_json(value)
            await self._authorization.allow_publish(request, bearer, update.topics, self._slices)
            return await self._keep([update], together=False)
        if not value:
            raise bad_request("Expected at least one update in the array.")
        if len(value) > MOST_UPDATES:
            raise too_large(
                f"The array has {len(value)} updates; at most {MOST_UPDATES} are allowed."
            )
        updates = []
        for number, each in enumerate(value, 1):
            try:
                update = self._reader.of_json(each)
                await self._authorization.allow_publish(
                    request, bearer, update.topics, self._slices
                )
            except Refused as refused:
                raise refused.within(f"update {number}") from None
            updates.append(update)
            await self._slices.step()
        topics = sum(len(update.topics) for update in updates)
        if topics > MOST_TOPICS:
            raise too_large(
                f"The updates of the array have {topics} topics together; at most {MOST_TOPICS} "
                "are allowed."
            )
        return await self._keep(updates, together=True)

    async def _keep(self, updates: Sequence[Update], *, together: bool) -> list[str]:
        """Have the history keep one update, or several together; return their ids."""
        try:
            if together:
                return await self._keeper.publish_all(updates)
            return [await self._keeper.publish(updates[0])]
        except TopicEndedError as error:
            or_ends = " or ends earlier in the array" if together else ""
            what = f"The topic {error.topic} has ended{or_ends}"
            raise topic_ended(what, "Nothing was accepted. ") from None
        except TooMuchKeptError:
            raise too_much_kept("Nothing was accepted. ") from None
        except BrokerAwayError as error:
            outcomes = _OF_SEVERAL if together else _OF_ONE
            outcome = outcomes.not_taken if error.nothing_taken else outcomes.maybe_taken
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"The history {error.words}. {outcome}",
                [RETRY_AFTER],
            ) from None

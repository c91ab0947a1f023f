"""POST /.well-known/mercure/publish-stream: publish updates while they are made."""

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from bareasgi import HttpRequest, HttpResponse

from barestream.asgi.contract import LET_PAUSE
from barestream.delivery.time_slices import Slices
from barestream.history.intake import Intake
from barestream.mercure.patterns import TooManyPatternsError
from barestream.mercure.token_id import TokenId
from barestream.mercure.topics import PATH
from barestream.telemetry.metrics import Metrics
from barestream.web.answers import UNSTORED, whole
from barestream.web.authorization import Authorization
from barestream.web.batches import Batches
from barestream.web.body import JSON_TYPE, body_type, not_of_type
from barestream.web.open_publishes import OpenPublishes
from barestream.web.refusals import RETRY_AFTER, Refused, counted, too_many_patterns
from barestream.web.run_lines import RUN_READERS
from barestream.web.sent_updates import READERS, Sent
from barestream.web.streamed_body import SILENT_SECONDS, Clocks, StreamedBody, Terms
from barestream.web.streamed_request import StreamedRequest
from barestream.web.update_reader import PublishRules, UpdateReader

PUBLISH_STREAM = f"{PATH}/publish-stream"

# The server's own limit comes after that of the body, whose answer says what was accepted.
_SERVER_SILENT_SECONDS = SILENT_SECONDS + 60

# What ends a topic after a body with end=true.
_DONE = json.dumps({"status": "done"})

# What an answer says where no update could be read.
_NOTHING = {"accepted": 0, "repeated": 0, "last_id": None, "next": None}

# A server that stops cancels what the history does not answer in time.
_CANCELLED = Refused(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The worker stops, and the history does not answer. Further updates may have been accepted. "
    "With numbers of a producer, or ids of your own, they can be sent again: each is kept once.",
    [RETRY_AFTER],
)


class StreamedPublish:
    """The handler.

    Args:
        intake: Gives the updates to the history.
        authorization: Determines what a publisher may do.
        metrics: Where updates and refusals are counted.
        rules: What an update may be.
        slices: The slices of long work.
        opened: The open streamed publishes.
        clocks: The clocks.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (the parts that it connects)
        self,
        intake: Intake,
        authorization: Authorization,
        metrics: Metrics,
        rules: PublishRules,
        slices: Slices,
        opened: OpenPublishes,
        clocks: Clocks,
    ) -> None:
        self._intake = intake
        self._authorization = authorization
        self._metrics = metrics
        self._rules = rules
        self._reader = UpdateReader(rules)
        self._slices = slices
        self._opened = opened
        self._clocks = clocks

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Publish each update of the body as it comes; answer once the body ends, or cannot go on.

        The answer says what became of the updates, also that of an error.
        """
        members: Mapping[str, object] = _NOTHING
        try:
            bearer = await self._authorization.publisher(request)
            target = StreamedRequest.read(request, self._reader, self._rules.ended_seconds)
            await self._authorization.allow_publish(
                request, bearer, target.needed_topics, self._slices
            )
            readers = READERS if target.run_key is None else RUN_READERS
            read = readers.get(body_type(request))
            if read is None:
                raise not_of_type(*READERS)
            batches = Batches(self._intake, self._metrics, target)
            terms = Terms(
                bearer.expires_at,
                partial(self._authorization.expired, request),
                target.lease_seconds,
                self._end(target),
                self._opened.pace,
                partial(self._authorization.check_not_revoked, request, bearer),
            )
            body = StreamedBody(
                read(self._reader, target.address, self._rules.body_bytes),
                batches,
                terms,
                self._clocks,
                self._slices,
            )
            try:
                await batches.open()
                await self._publish(request, body, bearer.token)
            finally:
                members = batches.members
        except TooManyPatternsError:
            return counted(self._metrics, too_many_patterns("Try again later."), members)
        except Refused as refused:
            return counted(self._metrics, refused, members)
        except asyncio.CancelledError:
            # The rest of the body is read with a timeout, which needs a task that is not cancelled.
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            return counted(self._metrics, _CANCELLED, members)
        return whole(
            JSON_TYPE, json.dumps(members).encode() + b"\n", headers=[UNSTORED, *batches.headers]
        )

    async def _publish(
        self, request: HttpRequest, body: StreamedBody, token: TokenId | None
    ) -> None:
        extensions: dict[str, Any] = request.scope.get("extensions") or {}
        if LET_PAUSE in extensions:
            extensions[LET_PAUSE](_SERVER_SILENT_SECONDS)
        with self._opened.opened(token) as end:
            await body.publish(aiter(request.body), end)

    def _end(self, target: StreamedRequest) -> Sent | None:
        if target.end_seconds is None:
            return None
        update = self._reader.end(target.address, _DONE, target.end_seconds)
        return Sent("the end of the topic", update)

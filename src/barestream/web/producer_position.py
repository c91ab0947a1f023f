"""GET /.well-known/mercure/publish-stream: how far a producer has come with a topic."""

import json
from http import HTTPStatus

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.time_slices import Slices
from barestream.history.broker import Broker, BrokerAwayError
from barestream.history.producers import Position
from barestream.mercure.patterns import TooManyPatternsError
from barestream.telemetry.metrics import Metrics
from barestream.web.answers import whole
from barestream.web.authorization import Authorization
from barestream.web.body import JSON_TYPE
from barestream.web.refusals import RETRY_AFTER, Refused, counted, too_many_patterns
from barestream.web.streamed_request import PositionRequest


class ProducerPosition:
    """The handler.

    Args:
        broker: Knows the positions.
        authorization: Determines what a publisher may do.
        metrics: Where refusals are counted.
        slices: The slices of long work.
    """

    def __init__(
        self, broker: Broker, authorization: Authorization, metrics: Metrics, slices: Slices
    ) -> None:
        self._broker = broker
        self._authorization = authorization
        self._metrics = metrics
        self._slices = slices

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer those who may publish to the topic; 404 for a producer that is not known."""
        try:
            position = await self._position(request)
        except TooManyPatternsError:
            return counted(self._metrics, too_many_patterns("Try again later."))
        except Refused as refused:
            return counted(self._metrics, refused)
        return whole(JSON_TYPE, json.dumps(position._asdict()).encode() + b"\n")

    async def _position(self, request: HttpRequest) -> Position:
        bearer = await self._authorization.publisher(request)
        asked = PositionRequest.read(request)
        needed = (asked.needed_topic,)
        await self._authorization.allow_publish(request, bearer, needed, self._slices)
        try:
            position = await self._broker.position(asked.topic, asked.producer_id)
        except BrokerAwayError as error:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, f"The history {error.words}.", [RETRY_AFTER]
            ) from None
        if position is None:
            raise Refused(
                HTTPStatus.NOT_FOUND, "The hub knows no producer of this name with this topic."
            )
        return position

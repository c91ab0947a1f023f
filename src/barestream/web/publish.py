"""POST /.well-known/mercure: publish an update.

Sources: https://mercure.rocks/spec#publication; for 0.x the tag v0.24.2 of dunglas/mercure
"""

import re
from dataclasses import dataclass
from http import HTTPStatus

from bareasgi import HttpRequest, HttpResponse
from bareutils import text_writer

from barestream.delivery.resume import EARLIEST
from barestream.delivery.time_slices import Slices
from barestream.history.broker import BrokerAwayError
from barestream.history.intake import Intake
from barestream.history.update import Update
from barestream.mercure.patterns import TooManyPatternsError
from barestream.mercure.sse import Event, InvalidEventError, data_bytes
from barestream.mercure.topics import (
    EVERYTHING,
    MOST_CHARACTERS,
    HubUrl,
    unseen_character,
)
from barestream.telemetry.metrics import Metrics
from barestream.web.authorization import Authorization
from barestream.web.form import Form, read_body
from barestream.web.refusals import Refused, bad_request, too_large

# Every client sends an id back in its Last-Event-ID header. All of them leave printable ASCII
# without spaces at its ends unchanged. 255 bytes hold a UUID's IRI five times.
_MOST_ID_CHARACTERS = 255
_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_ID_FORM = "printable ASCII characters without a space at either end"

# A type is a name that scripts listen for.
_MOST_TYPE_CHARACTERS = 255

# The types of the hub's own events: Mercure's, and the prefix of barestream's.
_MERCURE_TYPE = "mercure"
_OWN_TYPES = "barestream."

# A day: a client that stays away for longer has lost its history anyway.
_MOST_RETRY_MS = 86_400_000

# Room in a form for what it has beside the data: topics, id and type.
_BESIDE_DATA_BYTES = 64 * 1024

# A byte takes up to three in a percent-encoded form.
_ENCODED_SIZE = 3

# Seconds until a publisher may try again: a Valkey that was restarted mostly answers by then.
_RETRY_AFTER = (b"retry-after", b"1")

_NOT_TAKEN = "The update was not accepted; it can be sent again."
_MAYBE_TAKEN = (
    "The update may or may not have been accepted. With an id of your own it can be sent again: it "
    "is kept once."
)


@dataclass(frozen=True, slots=True)
class PublishRules:
    """What an update may be.

    Attributes:
        data_bytes: The largest data, counted as on the wire (sse.data_bytes): a line end of one
            byte becomes seven there, in the ring, and in each stream.
        topics: The largest number of topics.
        hub_url: The hub's URL, whose path and all below it are reserved.
    """

    data_bytes: int
    topics: int
    hub_url: HubUrl

    @property
    def body_bytes(self) -> int:
        """The largest size of the form that carries the update."""
        return _ENCODED_SIZE * self.data_bytes + _BESIDE_DATA_BYTES


class Publish:
    """The handler."""

    def __init__(
        self,
        intake: Intake,
        authorization: Authorization,
        metrics: Metrics,
        rules: PublishRules,
        slices: Slices,
    ) -> None:
        self._intake = intake
        self._authorization = authorization
        self._metrics = metrics
        self._rules = rules
        self._slices = slices

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer 200 with the event's id once the broker has accepted the update."""
        try:
            event_id = await self._publish(request)
        except Refused as refused:
            self._metrics.refused.labels(refused.status.value).inc()
            return refused.response()
        self._metrics.published.inc()
        return HttpResponse(
            HTTPStatus.OK,
            [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", b"%d" % len(event_id)),
                (b"cache-control", b"no-store"),
            ],
            text_writer(event_id),
        )

    async def _publish(self, request: HttpRequest) -> str:
        try:
            bearer = await self._authorization.publisher(request)
        except TooManyPatternsError:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The worker holds as many URL Patterns as BARESTREAM_URL_PATTERNS allows. "
                + _NOT_TAKEN,
                [_RETRY_AFTER],
            ) from None
        form = await read_body(request, self._rules.body_bytes, may_be_empty=False)
        update = self._update(form)
        allowed = bearer.publish
        if not allowed.names_all(update.topics) and not await self._slices.work(
            allowed.matching_all(update.topics, self._slices)
        ):
            raise self._authorization.insufficient(
                request, "The token does not allow publishing to every topic of the update."
            )
        try:
            return await self._intake.publish(update)
        except BrokerAwayError as error:
            outcome = _NOT_TAKEN if error.nothing_taken else _MAYBE_TAKEN
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"The history {error.words}. {outcome}",
                [_RETRY_AFTER],
            ) from None

    def _update(self, form: Form) -> Update:
        topics = tuple(dict.fromkeys(form.get("topic", ())))
        if not topics or not all(topics):
            raise bad_request("Expected at least one topic, and no empty one.")
        if len(topics) > self._rules.topics:
            raise too_large(
                f"The update has {len(topics)} topics; at most {self._rules.topics} are allowed."
            )
        for topic in topics:
            self._check_topic(topic)
        data = _only(form, "data") or ""
        if data_bytes(data) > self._rules.data_bytes:
            raise too_large(
                f"The data is larger than {self._rules.data_bytes} bytes; each line end counts as "
                "7 bytes, as on the wire."
            )
        own_id, kind, retry_ms = _own_id(form), _type(form), _retry_ms(form)
        try:
            event = Event(data, own_id, kind, retry_ms)
        except InvalidEventError as error:
            raise bad_request(f"{error}.") from None
        return Update(topics, event, private="private" in form)

    def _check_topic(self, topic: str) -> None:
        if len(topic) > MOST_CHARACTERS:
            raise too_large(f"A topic is longer than {MOST_CHARACTERS} characters.")
        _check_seen(topic, "A topic")
        if topic == EVERYTHING:
            raise bad_request(
                f"A topic is {EVERYTHING}, which stands for every topic. Name the topics."
            )
        if self._rules.hub_url.is_reserved(topic):
            raise bad_request(
                "A topic is reserved for the hub: as a URL, its path is "
                f"{self._rules.hub_url.path}, or below it. Choose another topic."
            )


def _check_seen(text: str, name: str) -> None:
    unseen = unseen_character(text)
    if unseen is not None:
        raise bad_request(f"{name} has the control or format character U+{ord(unseen):04X}.")


def _only(form: Form, name: str) -> str | None:
    """Return the value of a field that a form may have once; an empty value counts as none."""
    values = form.get(name, ())
    if len(values) > 1:
        raise bad_request(f"The form has {len(values)} fields {name}; at most one is allowed.")
    return values[0] or None if values else None


def _own_id(form: Form) -> str | None:
    own_id = _only(form, "id")
    if own_id is not None:
        if own_id.startswith("#"):
            raise bad_request("id starts with #: such ids are reserved for the hub.")
        if own_id == EARLIEST:
            raise bad_request(f"id is {EARLIEST}: that word is reserved.")
        if len(own_id) > _MOST_ID_CHARACTERS:
            raise too_large(f"id is longer than {_MOST_ID_CHARACTERS} characters.")
        if not _ID.fullmatch(own_id):
            raise bad_request(f"id: expected {_ID_FORM}.")
    return own_id


def _type(form: Form) -> str | None:
    kind = _only(form, "type")
    if kind is not None:
        if len(kind) > _MOST_TYPE_CHARACTERS:
            raise too_large(f"type is longer than {_MOST_TYPE_CHARACTERS} characters.")
        _check_seen(kind, "type")
        if kind == _MERCURE_TYPE:
            raise bad_request(f"type is {_MERCURE_TYPE}, which is reserved for the hub.")
        if kind.startswith(_OWN_TYPES):
            raise bad_request(
                f"type starts with {_OWN_TYPES}: such types are reserved for the hub."
            )
    return kind


def _retry_ms(form: Form) -> int | None:
    retry = _only(form, "retry")
    if retry is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", retry) or int(retry) > _MOST_RETRY_MS:
        raise bad_request(
            f"retry: expected a whole number of milliseconds from 0 to {_MOST_RETRY_MS}."
        )
    # Publishers send 0 for "none"; on the wire it would make browsers reconnect without a pause.
    return int(retry) or None

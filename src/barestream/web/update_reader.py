"""An update, as a publisher writes it in a form or in JSON; both have the same rules.

Sources: https://mercure.rocks/spec#publication; for 0.x the tag v0.24.2 of dunglas/mercure
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from barestream.delivery.resume import EARLIEST
from barestream.history.update import Update
from barestream.mercure.sse import Event, InvalidEventError, data_bytes
from barestream.mercure.topics import (
    EVERYTHING,
    MOST_CHARACTERS,
    HubUrl,
    unseen_character,
)
from barestream.web.form import Form
from barestream.web.json_body import Flaw, UnwritableError, compact, quoted
from barestream.web.refusals import bad_request, too_large

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

# A year, as for BARESTREAM_HISTORY_SECONDS. Who needs a value for longer keeps it without a limit.
_MOST_KEEP_SECONDS = 31_536_000
_FOREVER = "forever"
_KEEP_FORM = f"a number of seconds from 0 to {_MOST_KEEP_SECONDS}, or {_FOREVER}"

# What a form may have for a number; no longer one is within the bounds of a field.
_WHOLE = re.compile(r"[0-9]{1,9}")
_DECIMAL = re.compile(r"[0-9]{1,9}\.[0-9]{1,20}")

# Room in a body for what it has beside the data: topics, id and type.
_BESIDE_DATA_BYTES = 64 * 1024

# A byte takes up to three in a percent-encoded form. JSON takes as many for what is not ASCII, if
# it writes that as \u00e9, and for ASCII at most two; only control characters take six.
_ENCODED_SIZE = 3

_FIELDS = ("topic", "data", "private", "id", "type", "retry", "keep", "end")

_A_SURROGATE = "a lone surrogate, which UTF-8 cannot encode"

# As many unknown names are in an error.
_MOST_NAMED = 5


def _number(text: str) -> float | str:
    """Return the number that a form's value is; the value itself if it is none."""
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


# What the fields that a form may have once stand for. An empty retry counts as none, as an empty id
# and type do; an empty keep or end could mean anything.
_READ: dict[str, Callable[[str], object]] = {
    "data": str,
    "id": str,
    "type": str,
    "retry": lambda text: _number(text or "0"),
    "keep": _number,
    "end": lambda text: text == "true" or _number(text),
}


@dataclass(frozen=True, slots=True)
class PublishRules:
    """What an update may be.

    Attributes:
        data_bytes: The largest data, counted as on the wire (sse.data_bytes): a line end of one
            byte becomes seven there, in the ring, and in each stream.
        topics: The largest number of topics.
        ended_seconds: The longest time for which a topic stays ended.
        hub_url: The hub's URL, whose path and all below it are reserved.
    """

    data_bytes: int
    topics: int
    ended_seconds: float
    hub_url: HubUrl

    @property
    def body_bytes(self) -> int:
        """The largest size of the body that carries an update, or several."""
        return _ENCODED_SIZE * self.data_bytes + _BESIDE_DATA_BYTES


class UpdateReader:
    """Reads updates.

    Args:
        rules: What an update may be.
    """

    def __init__(self, rules: PublishRules) -> None:
        self._rules = rules

    def of_form(self, form: Form) -> Update:
        """Return the update of a form; its unknown fields are ignored.

        Raises:
            Refused: 400 or 413, with what is wrong.
        """
        fields: dict[str, object] = {}
        for name, values in form.items():
            if name == "topic":
                fields[name] = values
            elif name == "private":
                fields[name] = True
            elif read := _READ.get(name):
                if len(values) > 1:
                    raise bad_request(
                        f"The form has {len(values)} fields {name}; at most one is allowed."
                    )
                fields[name] = read(values[0])
        return self._update(fields)

    def of_json(self, value: object) -> Update:
        """Return the update of an object of a JSON body.

        Raises:
            Refused: 400 or 413, with what is wrong.
        """
        if isinstance(value, Flaw):
            raise bad_request(value.why)
        if not isinstance(value, dict):
            raise bad_request("Expected an object with the fields of an update.")
        unknown = [name for name in value if name not in _FIELDS]
        if unknown:
            named = ", ".join(map(quoted, unknown[:_MOST_NAMED]))
            if len(unknown) > _MOST_NAMED:
                named += ", …"
            raise bad_request(
                f"Unknown fields: {named}. The fields of an update are {', '.join(_FIELDS)}."
            )
        return self._update(value)

    def _update(self, fields: Mapping[str, object]) -> Update:
        topics = self._topics(fields.get("topic", []))
        data = self._data(fields.get("data", ""))
        event_id = _own_id(fields) if "id" in fields else None
        kind = _type(fields) if "type" in fields else None
        retry_ms = _retry_ms(fields) if "retry" in fields else None
        keep_seconds = _keep_seconds(fields) if "keep" in fields else None
        end_seconds = self._end_seconds(fields) if "end" in fields else None
        private = fields.get("private", False)
        if not isinstance(private, bool):
            raise bad_request("private: expected true or false.")
        try:
            event = Event(data, event_id, kind, retry_ms)
        except InvalidEventError as error:
            raise bad_request(f"{error}.") from None
        return Update(topics, event, private, keep_seconds, end_seconds)

    def _topics(self, sent: object) -> tuple[str, ...]:
        texts = [sent] if isinstance(sent, str) else sent
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise bad_request("topic: expected a string, or an array of strings.")
        topics = tuple(dict.fromkeys(texts))
        if not topics or not all(topics):
            raise bad_request("Expected at least one topic, and no empty one.")
        if len(topics) > self._rules.topics:
            raise too_large(
                f"The update has {len(topics)} topics; at most {self._rules.topics} are allowed."
            )
        for topic in topics:
            self._check_topic(topic)
        return topics

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

    def _data(self, sent: object) -> str:
        try:
            data = sent if isinstance(sent, str) else compact(sent)
            size_bytes = data_bytes(data)
        except UnwritableError as error:
            raise bad_request(f"data: {error}") from None
        except UnicodeEncodeError:
            raise bad_request(f"data has {_A_SURROGATE}.") from None
        if size_bytes > self._rules.data_bytes:
            raise too_large(
                f"The data is larger than {self._rules.data_bytes} bytes; each line end counts as "
                "7 bytes, as on the wire."
            )
        return data

    def _end_seconds(self, fields: Mapping[str, object]) -> float:
        end, most_seconds = fields["end"], self._rules.ended_seconds
        if end is True:
            return most_seconds
        if _is_number(end) and 1 <= end <= most_seconds:
            return float(end)
        raise bad_request(
            f"end: expected true, or a number of seconds from 1 to {most_seconds:.15g} "
            "(BARESTREAM_ENDED_SECONDS)."
        )


def _is_number(value: object) -> TypeGuard[float]:
    # True is an int of Python.
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_seen(text: str, name: str) -> None:
    if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
        raise bad_request(f"{name} has {_A_SURROGATE}.")
    unseen = unseen_character(text)
    if unseen is not None:
        raise bad_request(f"{name} has the control or format character U+{ord(unseen):04X}.")


def _text(fields: Mapping[str, object], name: str) -> str | None:
    """Return a text; an empty one counts as none."""
    text = fields[name]
    if not isinstance(text, str):
        raise bad_request(f"{name}: expected a string.")
    return text or None


def _own_id(fields: Mapping[str, object]) -> str | None:
    own_id = _text(fields, "id")
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


def _type(fields: Mapping[str, object]) -> str | None:
    kind = _text(fields, "type")
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


def _retry_ms(fields: Mapping[str, object]) -> int | None:
    retry = fields["retry"]
    # Publishers send 0 for "none"; on the wire it would make browsers reconnect without a pause.
    if _is_number(retry) and isinstance(retry, int) and 0 <= retry <= _MOST_RETRY_MS:
        return retry or None
    raise bad_request(f"retry: expected a whole number of milliseconds from 0 to {_MOST_RETRY_MS}.")


def _keep_seconds(fields: Mapping[str, object]) -> float:
    keep = fields["keep"]
    if keep == _FOREVER:
        return math.inf
    if _is_number(keep) and 0 <= keep <= _MOST_KEEP_SECONDS:
        # A -0.0 would have another digest.
        return float(keep) or 0.0
    raise bad_request(f"keep: expected {_KEEP_FORM}.")

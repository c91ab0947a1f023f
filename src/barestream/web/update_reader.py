"""An update, as a publisher writes it in a form or in JSON; both have the same rules.

Sources: https://mercure.rocks/spec#publication; for 0.x the tag v0.24.2 of dunglas/mercure
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from barestream.history.update import Update
from barestream.mercure.reserved import END_TYPE
from barestream.mercure.sse import Event, InvalidEventError, data_bytes
from barestream.mercure.topics import EVERYTHING, MOST_CHARACTERS, HubUrl
from barestream.web.form import Form
from barestream.web.json_body import Flaw, UnwritableError, compact, quoted
from barestream.web.refusals import bad_request, too_large
from barestream.web.update_fields import (
    A_SURROGATE,
    check_seen,
    is_number,
    read_id,
    read_keep_seconds,
    read_retry_ms,
    read_type,
)

# What a form may have for a number; no longer one is within the bounds of a field.
_WHOLE = re.compile(r"[0-9]{1,9}")
_DECIMAL = re.compile(r"[0-9]{1,9}\.[0-9]{1,20}")

# Room in a body for what it has beside the data: topics, id and type.
_BESIDE_DATA_BYTES = 64 * 1024

# A byte takes up to three in a percent-encoded form. JSON takes as many for what is not ASCII, if
# it writes that as \u00e9, and for ASCII at most two; only control characters take six.
_ENCODED_SIZE = 3

_FIELDS = ("topic", "data", "private", "id", "type", "retry", "keep", "end")

# Those of an update whose topic and kind are given for many at once.
_ADDRESSED_FIELDS = tuple(name for name in _FIELDS if name not in {"topic", "private"})

# So many topics that were checked are remembered, of so many characters each.
_MOST_REMEMBERED = 1024
_MOST_REMEMBERED_CHARACTERS = 256

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


class Address(NamedTuple):
    """What is given once for the updates that a streamed publish brings.

    Attributes:
        topics: Their topics.
        private: Whether they are private.
        type: The type of those that name none; None without one.
    """

    topics: tuple[str, ...]
    private: bool = False
    type: str | None = None


class UpdateReader:
    """Reads updates.

    Args:
        rules: What an update may be.
    """

    def __init__(self, rules: PublishRules) -> None:
        self._rules = rules
        # A publisher mostly repeats its topics, and checking one takes 5 % of a publish.
        self._checked = lru_cache(_MOST_REMEMBERED)(self._check_topic)

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
        return self._update(_named(value, _FIELDS))

    def of_addressed(self, value: object, address: Address) -> Update:
        """Return the update of an object of JSON that has neither a topic nor ``private``.

        Raises:
            Refused: 400 or 413, with what is wrong.
        """
        return self._addressed(_named(value, _ADDRESSED_FIELDS), address)

    def of_event(
        self, data: str, event_id: str | None, kind: str | None, address: Address
    ) -> Update:
        """Return the update of an event that another server has sent.

        Raises:
            Refused: 400 or 413, with what is wrong.
        """
        fields: dict[str, object] = {"data": data}
        if event_id is not None:
            fields["id"] = event_id
        if kind is not None:
            fields["type"] = kind
        return self._addressed(fields, address)

    def address(self, topic: str, *, private: bool, kind: str) -> Address:
        """Return the address of updates; an empty type counts as none.

        Raises:
            Refused: 400 or 413, with what is wrong.
        """
        return Address(self._topics(topic), private, read_type({"type": kind}))

    def end(self, address: Address, data: str, seconds: float) -> Update:
        """Return the hub's own last update of a topic."""
        return Update(address.topics, Event(data, type=END_TYPE), address.private, None, seconds)

    def end_seconds(self, sent: str) -> float:
        """Return for how long a topic is to stay ended, as a form's ``end`` says it.

        Raises:
            Refused: 400 for a value that is none.
        """
        return self._end_seconds({"end": _READ["end"](sent)})

    def run_end_seconds(self, value: object) -> float:
        """Return the same for a run, as JSON says it; a longer time counts as the longest."""
        most_seconds = self._rules.ended_seconds
        if is_number(value) and value > most_seconds:
            return most_seconds
        return self._end_seconds({"end": value})

    def _update(self, fields: Mapping[str, object]) -> Update:
        topics = self._topics(fields.get("topic", []))
        private = fields.get("private", False)
        if not isinstance(private, bool):
            raise bad_request("private: expected true or false.")
        return self._addressed(fields, Address(topics, private))

    def _addressed(self, fields: Mapping[str, object], address: Address) -> Update:
        data = self._data(fields.get("data", ""))
        event_id = read_id(fields) if "id" in fields else None
        kind = (read_type(fields) if "type" in fields else None) or address.type
        retry_ms = read_retry_ms(fields) if "retry" in fields else None
        keep_seconds = read_keep_seconds(fields) if "keep" in fields else None
        end_seconds = self._end_seconds(fields) if "end" in fields else None
        try:
            event = Event(data, event_id, kind, retry_ms)
        except InvalidEventError as error:
            raise bad_request(f"{error}.") from None
        return Update(address.topics, event, address.private, keep_seconds, end_seconds)

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
            if len(topic) <= _MOST_REMEMBERED_CHARACTERS:
                self._checked(topic)
            else:
                self._check_topic(topic)
        return topics

    def _check_topic(self, topic: str) -> None:
        if len(topic) > MOST_CHARACTERS:
            raise too_large(f"A topic is longer than {MOST_CHARACTERS} characters.")
        check_seen(topic, "A topic")
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
            raise bad_request(f"data has {A_SURROGATE}.") from None
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
        if is_number(end) and 1 <= end <= most_seconds:
            return float(end)
        raise bad_request(
            f"end: expected true, or a number of seconds from 1 to {most_seconds:.15g} "
            "(BARESTREAM_ENDED_SECONDS)."
        )


def _named(value: object, names: Collection[str]) -> Mapping[str, object]:
    """Return the fields of an object, which may have these alone."""
    if isinstance(value, Flaw):
        raise bad_request(value.why)
    if not isinstance(value, dict):
        raise bad_request("Expected an object with the fields of an update.")
    unknown = [name for name in value if name not in names]
    if unknown:
        named = ", ".join(map(quoted, unknown[:_MOST_NAMED]))
        if len(unknown) > _MOST_NAMED:
            named += ", …"
        raise bad_request(
            f"Unknown fields: {named}. The fields of an update are {', '.join(names)}."
        )
    return value

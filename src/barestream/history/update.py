"""Updates, as publishers send them. Pure."""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring

from barestream.history.record import Place, Record
from barestream.mercure.sse import Event, encode, refuse_surrogates

# So many go together in one atomic step, in which the history does nothing else: each takes Valkey
# up to 70 us.
MOST_UPDATES = 100


@dataclass(frozen=True, slots=True)
class Update:
    """An event for the streams that want one of its topics.

    Attributes:
        topics: At least one; the first is the canonical one, the others are alternates.
        event: The event that the streams get. Its id is the publisher's, if it gave one.
        private: Whether only tokens that cover one of the topics may read it.
        keep_seconds: For how long it is the kept value of its first topic; infinite without a
            limit. 0 clears the topic's kept value; None leaves it as it is.
        end_seconds: For how long its first topic stays ended, as this is the topic's last update;
            None if it does not end the topic.

    Raises:
        InvalidEventError: A topic contains a lone surrogate, which UTF-8 cannot encode.
    """

    topics: tuple[str, ...]
    event: Event
    private: bool = False
    keep_seconds: float | None = None
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        for topic in self.topics:
            refuse_surrogates(topic)

    def at(self, place: Place, repeats: bool = False) -> Record:
        """Return its record at a place, with the id that clients see: its own, or the place.

        This encodes the update, so each process that needs its bytes calls it once.

        Args:
            place: The place.
            repeats: See Record.
        """
        event = self.event
        own_id = event.id or None
        body = encode(event, str(place))
        end_ms = None if self.end_seconds is None else round(self.end_seconds * 1000)
        return Record(place, body, self.topics, self.private, own_id, repeats, end_ms)

    @property
    def size_bytes(self) -> int:
        """The size that a history counts: its topics as JSON, data, id and type, in UTF-8."""
        event = self.event
        texts = (event.data, event.id or "", event.type or "")
        return len(topics_json(self.topics)) + sum(map(_utf8_bytes, texts))

    @property
    def digest(self) -> bytes:
        """A digest that distinguishes two updates with the same id."""
        event = self.event
        whole: list[object] = [self.topics, event.data, event.id, event.type, event.retry_ms]
        whole.append(self.private)
        # Releases that know neither must get the same digest for an update without them.
        if self.keep_seconds is not None or self.end_seconds is not None:
            whole += [self.keep_seconds, self.end_seconds]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:32].encode()


def topics_json(topics: tuple[str, ...]) -> bytes:
    """Return the topics as a JSON array, in the form that the history keeps and counts."""
    # Topics are mostly repeated. Several are not remembered: they may be long.
    return _json_of_one(topics) if len(topics) == 1 else _json(topics)


def _json(topics: tuple[str, ...]) -> bytes:
    # What json.dumps does, in a tenth of its time: it makes an encoder for each call.
    return f"[{','.join(map(encode_basestring, topics))}]".encode()


# One topic has at most 2,048 characters, so they take at most 2 MB.
_json_of_one = lru_cache(256)(_json)


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())

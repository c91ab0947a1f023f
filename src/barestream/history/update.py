"""What a publisher says. Pure."""

import hashlib
import json
from dataclasses import dataclass

from barestream.history.record import Place, Record
from barestream.mercure.sse import Event, encode, refuse_surrogates


@dataclass(frozen=True, slots=True)
class Update:
    """An event for the streams that want one of its topics.

    Attributes:
        topics: The first is the canonical one, the others are alternates; at least one.
        event: What the streams get. Its id is the publisher's own, if it gave one.
        private: Whether only those may read it whose token covers one of the topics.

    Raises:
        InvalidEventError: A topic is text that UTF-8 cannot carry (a lone surrogate).
    """

    topics: tuple[str, ...]
    event: Event
    private: bool = False

    def __post_init__(self) -> None:
        for topic in self.topics:
            refuse_surrogates(topic)

    def at(self, place: Place) -> Record:
        """Return the record of it at a place, with the id that clients see: its own, or the place.

        This encodes it, so it is done once in each process that needs its bytes.
        """
        event = self.event
        own_id = event.id or None
        return Record(place, encode(event, str(place)), self.topics, self.private, own_id)

    @property
    def size_bytes(self) -> int:
        """What it counts for in a history: its topics as JSON, data, id and type, in UTF-8."""
        event = self.event
        texts = (event.data, event.id or "", event.type or "")
        return len(topics_json(self.topics)) + sum(map(_utf8_bytes, texts))

    @property
    def digest(self) -> bytes:
        """What tells two updates with one id apart."""
        event = self.event
        whole = [self.topics, event.data, event.id, event.type, event.retry_ms, self.private]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:32].encode()


def topics_json(topics: tuple[str, ...]) -> bytes:
    """Return the topics as a JSON array, in the form in which they are kept and counted."""
    return json.dumps(topics, ensure_ascii=False, separators=(",", ":")).encode()


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())

"""Updates, as a publisher gives them to the client. Pure."""

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

# The most updates of one array, by the rules of the hub.
MOST_OF_A_BATCH = 100

# A hub takes three times its BARESTREAM_DATA_BYTES, and 64 KiB; so every hub takes this much.
_MOST_BATCH_BYTES = 64_000


@dataclass(frozen=True, kw_only=True)
class Update:
    """An update.

    Attributes:
        topic: Its topic; or several, the first of which is its own. None in a streamed publish,
            which has one topic for all.
        data: Its data: a text, or any other value, which is sent as JSON.
        type: The event's type; ``message`` without one.
        id: An id of the publisher's own. Without one the client makes it.
        private: Whether only those may read it whose token covers one of its topics.
        retry_ms: A reconnection delay for its subscribers.
        keep: For how many seconds it is the kept value of its first topic; or ``forever``. 0 clears
            the kept value.
        end: Whether it is the last one of its first topic; or for how many seconds the topic then
            stays ended.
    """

    topic: str | Sequence[str] | None = None
    data: Any = ""
    type: str | None = None
    id: str | None = None
    private: bool = False
    retry_ms: int | None = None
    keep: float | Literal["forever"] | None = None
    end: bool | float = False

    def with_id(self) -> "Update":
        """Return the same with an id: only with one is it safe to send it again."""
        return self if self.id is not None else replace(self, id=new_id())

    def fields(self) -> dict[str, Any]:
        """Return its fields in JSON, without those that say nothing."""
        topic = self.topic if self.topic is None or isinstance(self.topic, str) else [*self.topic]
        found: dict[str, Any] = {
            "topic": topic,
            "data": self.data,
            "type": self.type,
            "id": self.id,
            "private": self.private or None,
            "retry": self.retry_ms,
            "keep": self.keep,
            "end": self.end or None,
        }
        return {name: value for name, value in found.items() if value is not None or name == "data"}

    def form(self) -> list[tuple[str, str]]:
        """Return its fields as those of a form, which every hub of Mercure takes."""
        fields = self.fields()
        topics = fields.pop("topic", [])
        pairs = [("topic", each) for each in ([topics] if isinstance(topics, str) else topics)]
        return pairs + [(name, _form_value(name, value)) for name, value in fields.items()]


def _form_value(name: str, value: Any) -> str:
    if name == "private":
        return "on"
    if isinstance(value, str):
        return value
    # As the hub writes a value of JSON.
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def new_id() -> str:
    """Return an id that no other update has."""
    return f"urn:uuid:{uuid.uuid4()}"


def batches(updates: Iterable[Update]) -> Iterator[bytes]:
    """Yield arrays of JSON that the hub takes as one publish each, with an id for each update."""
    batch: list[bytes] = []
    size = 0
    for update in updates:
        text = json.dumps(update.with_id().fields(), separators=(",", ":")).encode()
        if batch and (len(batch) == MOST_OF_A_BATCH or size + len(text) > _MOST_BATCH_BYTES):
            yield _array(batch)
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield _array(batch)


def _array(batch: list[bytes]) -> bytes:
    return b"[" + b",".join(batch) + b"]"

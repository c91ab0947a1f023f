"""The headers by which a publisher names itself, and numbers its updates.

Source: https://github.com/durable-streams/durable-streams/blob/main/PROTOCOL.md, 5.2.1
"""

import re
from typing import NamedTuple

from bareasgi import HttpRequest

from barestream.history.producers import Producer
from barestream.mercure.header_text import FORM, MOST_CHARACTERS, is_name
from barestream.web.refusals import bad_request

ID, EPOCH, SEQ, LEASE = b"producer-id", b"producer-epoch", b"producer-seq", b"producer-lease"

# The largest whole number that JavaScript counts by one.
_MOST = 2**53 - 1
_WHOLE = re.compile(rb"[0-9]{1,16}")

# Below 5 s a publisher could not come back over a worker's drain and its own delay. After an hour a
# topic without its end is nothing that anyone waits for.
LEAST_LEASE_SECONDS, MOST_LEASE_SECONDS = 5, 3600


class ProducerRequest(NamedTuple):
    """Who publishes, and what it numbers its first update.

    Attributes:
        producer: The producer.
        first: The number of the request's first update.
        lease_seconds: How long the producer may be away before its topic is ended; None for ever.
    """

    producer: Producer
    first: int
    lease_seconds: float | None

    @classmethod
    def read(cls, request: HttpRequest) -> "ProducerRequest | None":
        """Return what the headers say; None without them.

        Raises:
            Refused: 400 for headers that are malformed, or not all there.
        """
        texts = {name: _sent(request, name) for name in (ID, EPOCH, SEQ)}
        lease = _sent(request, LEASE)
        if all(text is None for text in texts.values()):
            if lease is not None:
                raise bad_request("Producer-Lease needs Producer-Id, -Epoch and -Seq beside it.")
            return None
        sent_id, epoch, seq = texts.values()
        if not (sent_id and epoch and seq):
            raise bad_request(
                "Expected Producer-Id, Producer-Epoch and Producer-Seq together, or none of them."
            )
        producer = Producer(
            producer_id(sent_id.decode("latin-1"), "Producer-Id"),
            _number(epoch, "Producer-Epoch", 0, _MOST),
        )
        seconds = None
        if lease is not None:
            seconds = _number(lease, "Producer-Lease", LEAST_LEASE_SECONDS, MOST_LEASE_SECONDS)
        return cls(producer, _number(seq, "Producer-Seq", 0, _MOST), seconds)


def _sent(request: HttpRequest, name: bytes) -> bytes | None:
    """Return a header; None without it.

    Raises:
        Refused: 400 for several: which one counts would depend on the proxies between.
    """
    values = [value for each, value in request.scope["headers"] if each == name]
    if len(values) > 1:
        raise bad_request(
            f"The request has {len(values)} headers {name.decode().title()}; one is allowed."
        )
    return values[0] if values else None


def producer_id(text: str, name: str) -> str:
    """Return a producer's id; the error gives its place the name.

    Raises:
        Refused: 400 for a text that is none.
    """
    if not is_name(text):
        raise bad_request(f"{name}: expected 1 to {MOST_CHARACTERS} {FORM}.")
    return text


def _number(text: bytes, name: str, least: int, most: int) -> int:
    if _WHOLE.fullmatch(text) and least <= int(text) <= most:
        return int(text)
    raise bad_request(f"{name}: expected a whole number from {least} to {most}.")

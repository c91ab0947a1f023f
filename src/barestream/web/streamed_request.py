"""What a streamed publish, and a question for a producer's position, say beside their bodies."""

from collections.abc import Sequence
from typing import NamedTuple

from bareasgi import HttpRequest

from barestream.history.producers import Lease
from barestream.mercure.run_topics import right_to, run_topic
from barestream.web.form import Form, query
from barestream.web.producer_request import LEAST_LEASE_SECONDS, ProducerRequest, producer_id
from barestream.web.refusals import bad_request
from barestream.web.run_request import checked_key
from barestream.web.update_reader import Address, UpdateReader

# Also the token of 0.x (web/authorization.py).
_PUBLISH_NAMES = ("topic", "private", "type", "end", "authorization")
_RUN_NAMES = ("run", "authorization")
_POSITION_NAMES = ("topic", "run", "producer", "authorization")


class StreamedRequest(NamedTuple):
    """Where the updates of a streamed publish go.

    Attributes:
        address: Their topic and what they are.
        end_seconds: For how long the topic stays ended after the body; None if it does not end it.
        numbered: Who publishes; None without a name.
        lease: What the producer asks for; None without a lease, and for a run, which has one from
            its start.
        run_key: The key of the run whose topic it is; None if it is none's.
    """

    address: Address
    end_seconds: float | None
    numbered: ProducerRequest | None
    lease: Lease | None
    run_key: str | None = None

    @property
    def needed_topics(self) -> tuple[str, ...]:
        """The topics that the publisher must be allowed to publish to."""
        return self.address.topics if self.run_key is None else (right_to(self.run_key),)

    @property
    def lease_seconds(self) -> float | None:
        """How long its producer may be away; None for ever.

        The lease of a run is not known here; it has at least the least one.
        """
        if self.run_key is not None:
            return LEAST_LEASE_SECONDS
        return None if self.lease is None else self.lease.seconds

    @property
    def topic(self) -> str:
        """Its topic."""
        return self.address.topics[0]

    @classmethod
    def read(
        cls, request: HttpRequest, reader: UpdateReader, ended_seconds: float
    ) -> "StreamedRequest":
        """Read a request.

        Args:
            request: The request.
            reader: Knows what its topic and its type may be.
            ended_seconds: For how long a topic stays ended whose lease is over.

        Raises:
            Refused: 400 or 413 for a query or headers that are malformed.
        """
        numbered = ProducerRequest.read(request)
        if "run" in query(request):
            return cls._of_run(_known(request, _RUN_NAMES), numbered)
        form = _known(request, _PUBLISH_NAMES)
        private = "private" in form
        address = reader.address(_one(form, "topic"), private=private, kind=_most_one(form, "type"))
        end = _most_one(form, "end")
        lease = None
        if numbered is not None and numbered.lease_seconds is not None:
            lease = Lease(numbered.lease_seconds, private, ended_seconds)
        return cls(address, reader.end_seconds(end) if end else None, numbered, lease)

    @classmethod
    def _of_run(cls, form: Form, numbered: ProducerRequest | None) -> "StreamedRequest":
        key = checked_key(_one(form, "run"), "run")
        if numbered is None:
            raise bad_request(
                "The updates of a run need Producer-Id, its id; Producer-Epoch, its fence; and "
                "Producer-Seq."
            )
        if numbered.lease_seconds is not None:
            raise bad_request("Producer-Lease: a run has the lease that it was started with.")
        topic = run_topic(key, numbered.producer.id)
        return cls(Address((topic,), private=True), None, numbered, None, key)


class PositionRequest(NamedTuple):
    """A question for the position of a producer with a topic.

    Attributes:
        topic: The topic.
        producer_id: The producer's id.
        needed_topic: The topic that who asks must be allowed to publish to.
    """

    topic: str
    producer_id: str
    needed_topic: str

    @classmethod
    def read(cls, request: HttpRequest) -> "PositionRequest":
        """Read a request.

        Raises:
            Refused: 400 or 413 for a query that is malformed.
        """
        form = _known(request, _POSITION_NAMES)
        producer = producer_id(_one(form, "producer"), "producer")
        if "run" not in form:
            topic = _one(form, "topic")
            return cls(topic, producer, topic)
        if "topic" in form:
            raise bad_request("Expected one of the parameters topic and run, not both.")
        key = checked_key(_one(form, "run"), "run")
        return cls(run_topic(key, producer), producer, right_to(key))


def _known(request: HttpRequest, names: Sequence[str]) -> Form:
    form = query(request)
    for name in form:
        if name not in names:
            raise bad_request(
                f"{name[:100]!r} is not a parameter of this request; it has {', '.join(names)}."
            )
    return form


def _one(form: Form, name: str) -> str:
    values = form.get(name, ())
    if len(values) != 1 or not values[0]:
        raise bad_request(f"Expected one parameter {name}, with a value.")
    return values[0]


def _most_one(form: Form, name: str) -> str:
    values = form.get(name, ("",))
    if len(values) > 1:
        raise bad_request(f"The query has {len(values)} parameters {name}; at most one is allowed.")
    return values[0]

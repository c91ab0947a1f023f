"""What one streamed publish gives to the history: its updates, in batches."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from barestream.history.broker import BrokerAwayError, TooMuchKeptError, TopicEndedError
from barestream.history.intake import Intake
from barestream.history.producers import (
    Batch,
    NewEpochError,
    Position,
    SequenceGapError,
    StaleEpochError,
    Status,
    TooManyProducersError,
    UnknownRunError,
)
from barestream.history.update import MOST_UPDATES, Update
from barestream.telemetry.metrics import Metrics
from barestream.web.producer_request import EPOCH, SEQ
from barestream.web.refusals import RETRY_AFTER, Refused, bad_request, too_much_kept, topic_ended
from barestream.web.sent_updates import Sent
from barestream.web.streamed_request import StreamedRequest

# A batch is one atomic step of the history, and in memory as a whole. Its size is that of the data,
# in characters.
MOST_BATCH_CHARACTERS = 256 * 1024


class Batches:
    """Collects updates, publishes them, and counts what became of them.

    Args:
        intake: Gives them to the history.
        metrics: Where they are counted.
        target: Where they go.

    Attributes:
        ends_topic: Whether one of them has ended the topic.
    """

    def __init__(self, intake: Intake, metrics: Metrics, target: StreamedRequest) -> None:
        self._intake = intake
        self._metrics = metrics
        self._target = target
        self._sent: list[Sent] = []
        self._characters = 0
        self._number = target.numbered.first if target.numbered else 0
        self._position: Position | None = None
        self._expected: int | None = None
        self._accepted = self._repeated = 0
        self._last_id: str | None = None
        self.ends_topic = False

    @property
    def members(self) -> Mapping[str, object]:
        """What became of the updates so far, as the members of an answer."""
        return {
            "accepted": self._accepted,
            "repeated": self._repeated,
            "last_id": self._last_id,
            "next": self._next,
        }

    @property
    def _next(self) -> int | None:
        if self._expected is not None:
            return self._expected
        return self._position.next if self._position else None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that tell a producer how far it has come."""
        position = self._position
        if position is None:
            return []
        found = [(EPOCH, b"%d" % position.epoch)]
        if position.next:
            found.append((SEQ, b"%d" % (position.next - 1)))
        return found

    def add(self, sent: Sent) -> bool:
        """Add an update; return whether the batch is full."""
        self._sent.append(sent)
        self._characters += len(sent.update.event.data)
        return len(self._sent) >= MOST_UPDATES or self._characters >= MOST_BATCH_CHARACTERS

    async def flush(self) -> bool:
        """Publish what was added; return whether anything was.

        Raises:
            Refused: The history refuses one of the updates; those before it were accepted.
        """
        if not self._sent:
            return False
        sent, self._sent, self._characters = self._sent, [], 0
        await self._publish(sent)
        return True

    async def open(self) -> None:
        """Have the history note that the producer begins, if there is one.

        Raises:
            Refused: The history refuses the producer, or does not answer.
        """
        if self._target.numbered is not None:
            await self._publish([])

    async def renew(self) -> None:
        """Renew the lease; without an answer of the history nothing runs out.

        Raises:
            Refused: The history refuses the producer.
        """
        try:
            await self._publish([])
        except Refused as refused:
            if refused.status is not HTTPStatus.SERVICE_UNAVAILABLE:
                raise

    async def _publish(self, sent: Sequence[Sent]) -> None:
        updates = [each.update for each in sent]
        try:
            await self._give(updates, sent[-1].status if sent else None)
        except (TopicEndedError, TooMuchKeptError) as error:
            if not sent:
                raise _refusal(error) from None
            if error.at:
                await self._publish(sent[: error.at])
            raise _refusal(error).within(sent[error.at].where) from None
        except BrokerAwayError as error:
            raise _away(error, sent) from None
        except StaleEpochError as error:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                f"The producer has started again, with epoch {error.epoch}: this one may publish "
                "no more.",
                [(EPOCH, b"%d" % error.epoch)],
            ) from None
        except NewEpochError:
            raise bad_request("Producer-Seq: a new epoch begins with 0.") from None
        except SequenceGapError as error:
            self._expected = error.expected
            raise Refused(
                HTTPStatus.CONFLICT,
                f"Updates are missing: number {error.expected} is expected, and {error.received} "
                "came. Send the missing ones first.",
                [
                    (b"producer-expected-seq", b"%d" % error.expected),
                    (b"producer-received-seq", b"%d" % error.received),
                ],
            ) from None
        except UnknownRunError:
            raise Refused(
                HTTPStatus.GONE,
                "The run has ended, is not known, or another run has its key: nothing more is "
                "published for it.",
            ) from None
        except TooManyProducersError:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The hub knows as many producers as BARESTREAM_PRODUCERS allows, and all of them "
                "have leases. Try again later, publish without a producer, or raise the setting.",
                [RETRY_AFTER],
            ) from None
        self.ends_topic = self.ends_topic or any(
            update.end_seconds is not None for update in updates
        )

    async def _give(self, updates: Sequence[Update], status: Status | None) -> None:
        target, count = self._target, len(updates)
        if target.numbered is None:
            if count == 1:
                self._last_id = await self._intake.publish(updates[0])
            else:
                self._last_id = (await self._intake.publish_all(updates))[-1]
            fresh = count
        else:
            accepted = await self._intake.publish_batch(
                Batch(
                    target.topic,
                    target.numbered.producer,
                    self._number,
                    updates,
                    target.lease,
                    target.run_key is not None,
                    status,
                )
            )
            fresh = accepted.new
            self._number += count
            self._position = accepted.position
            self._last_id = accepted.position.last_id
        self._accepted += fresh
        self._repeated += count - fresh
        self._metrics.published.inc(fresh)


def _refusal(error: TopicEndedError | TooMuchKeptError) -> Refused:
    if isinstance(error, TopicEndedError):
        return topic_ended("The topic has ended")
    return too_much_kept()


def _away(error: BrokerAwayError, sent: Sequence[Sent]) -> Refused:
    if not sent or error.nothing_taken:
        outcome = "Send the updates again that were not accepted."
    else:
        outcome = (
            f"Those up to {sent[-1].where} may have been accepted, all or none. With numbers of a "
            "producer, or ids of your own, they can be sent again: each is kept once."
        )
    refused = Refused(
        HTTPStatus.SERVICE_UNAVAILABLE, f"The history {error.words}. {outcome}", [RETRY_AFTER]
    )
    return refused.within(sent[0].where) if sent else refused

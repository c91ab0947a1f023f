"""A body that goes on: its batches, its silence, its lease, its token, and a worker that stops."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from barestream.delivery.time_slices import Slices
from barestream.history.broker import BrokerAwayError, TopicEndedError
from barestream.history.producers import (
    Accepted,
    Batch,
    Lease,
    Position,
    Producer,
    StaleEpochError,
)
from barestream.history.update import MOST_UPDATES, Update
from barestream.mercure.sse import Event
from barestream.mercure.topics import HubUrl
from barestream.telemetry.metrics import Metrics
from barestream.web.batches import MOST_BATCH_CHARACTERS, Batches
from barestream.web.producer_request import ProducerRequest
from barestream.web.refusals import Refused, bad_request
from barestream.web.sent_updates import JsonLines, Sent
from barestream.web.streamed_body import SILENT_SECONDS, Clocks, StreamedBody, Terms
from barestream.web.streamed_request import StreamedRequest
from barestream.web.update_reader import Address, PublishRules, UpdateReader

READER = UpdateReader(
    PublishRules(300_000, 3, 3600, HubUrl("http://localhost/.well-known/mercure"))
)
ADDRESS = Address(("t",))
END = Sent("the end of the topic", Update(("t",), Event("end"), False, None, 60))


class History:
    """Accepts updates, and notes each batch; in place of an Intake."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.next = 0
        self.fails: list[Exception] = []

    def _take(self, updates: Sequence[Update]) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.batches.append([update.event.data for update in updates])

    async def publish(self, update: Update) -> str:
        self._take([update])
        return "id"

    async def publish_all(self, updates: Sequence[Update]) -> list[str]:
        self._take(updates)
        return ["id"] * len(updates)

    async def publish_batch(self, batch: Batch) -> Accepted:
        self._take(batch.updates)
        before, end = self.next, batch.first + len(batch.updates)
        self.next = max(before, end)
        new = min(len(batch.updates), max(0, end - before))
        return Accepted(Position(batch.producer.epoch, self.next, "id"), new)


class Publishing:
    """One streamed publish, by clocks that stand still unless a test sets them."""

    def __init__(
        self,
        first: int | None = None,
        lease_seconds: float | None = None,
        expires_at: float | None = None,
        end: Sent | None = None,
    ) -> None:
        self.history = History()
        self.now = self.wall = 0.0
        self.paced_after: list[int] = []
        self.behind_until = 0.0
        self.checks_until_revoked = math.inf
        numbered = None if first is None else ProducerRequest(Producer("p", 0), first, None)
        lease = Lease(lease_seconds, False, 60) if lease_seconds else None
        target = StreamedRequest(ADDRESS, None, numbered, lease)
        intake: Any = self.history
        self.batches = Batches(intake, Metrics(), target)
        self._body = StreamedBody(
            JsonLines(READER, ADDRESS, 1000_000),
            self.batches,
            Terms(
                expires_at,
                lambda: bad_request("expired"),
                lease_seconds,
                end,
                self._pace,
                self._check,
            ),
            Clocks(lambda: self.wall, lambda: self.now),
            Slices(lambda: self.now),
        )

    def _check(self) -> None:
        self.checks_until_revoked -= 1
        if self.checks_until_revoked < 0:
            raise bad_request("revoked")

    async def _pace(self) -> bool:
        self.paced_after.append(len(self.history.batches))
        self.now += 1
        return self.now < self.behind_until

    def run(self, *pieces: bytes, stops: bool = False, ends: bool = True) -> None:
        """Publish the pieces; each has come when it is asked for.

        Args:
            pieces: The pieces.
            stops: Whether the worker stops from the start.
            ends: Whether the body ends after them.
        """

        async def body() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece
            if not ends:
                await asyncio.Future()

        async def main() -> None:
            end = asyncio.get_running_loop().create_future()
            if stops:
                end.set_result(None)
            await self.batches.open()
            await self._body.publish(body(), end)

        asyncio.run(main())

    @property
    def counts(self) -> tuple[object, object]:
        return self.batches.members["accepted"], self.batches.members["repeated"]


def lines(*data: object) -> bytes:
    return b"".join(b'{"data": "%s"}\n' % str(each).encode() for each in data)


def refused(publishing: Publishing, *pieces: bytes, **how: bool) -> Refused:
    with pytest.raises(Refused) as raised:
        publishing.run(*pieces, **how)
    return raised.value


def test_what_has_come_is_one_batch_up_to_its_bound() -> None:
    publishing = Publishing()
    publishing.run(lines(1, 2) + b'{"da', b'ta": "3"}\n', lines(*range(250)), b'{"data": "last"}')
    sizes = [len(batch) for batch in publishing.history.batches]
    assert sizes == [2, 1, MOST_UPDATES, MOST_UPDATES, 50, 1]
    assert publishing.counts == (254, 0)


def test_a_batch_is_bounded_by_the_size_of_its_data_too() -> None:
    publishing = Publishing()
    third = "x" * (MOST_BATCH_CHARACTERS // 3 + 1)
    publishing.run(lines(*[third] * 7))
    assert [len(batch) for batch in publishing.history.batches] == [3, 3, 1]


def test_an_invalid_line_is_refused_after_the_lines_before_it_were_published() -> None:
    publishing = Publishing()
    assert str(refused(publishing, lines(1, 2) + b"x\n" + lines(3))).startswith("line 3: ")
    assert publishing.history.batches == [["1", "2"]]


def test_an_update_that_the_history_refuses_leaves_those_before_it_accepted() -> None:
    publishing = Publishing()
    publishing.history.fails = [TopicEndedError("t", at=2)]
    error = refused(publishing, lines(1, 2, 3))
    assert (error.status, str(error)[:31]) == (409, "line 3: The topic has ended. It")
    assert publishing.history.batches == [["1", "2"]]
    assert publishing.counts == (2, 0)


def test_repeats_of_a_producer_are_counted_apart() -> None:
    publishing = Publishing(first=3)
    publishing.history.next = 5
    publishing.run(lines(3), lines(4, 5), lines(6))
    assert publishing.counts == (2, 2)
    assert publishing.batches.members["next"] == 7
    assert publishing.batches.headers == [(b"producer-epoch", b"0"), (b"producer-seq", b"6")]


def test_what_another_publisher_of_the_same_numbers_has_published_is_a_repeat() -> None:
    publishing = Publishing(first=0)
    history = publishing.history
    publish_batch = history.publish_batch

    async def overtaken(batch: Batch) -> Accepted:
        if batch.updates:
            history.next = max(history.next, 3)
        return await publish_batch(batch)

    history.publish_batch = overtaken  # type: ignore[method-assign]
    publishing.run(lines(0, 1), lines(2, 3))
    assert publishing.counts == (1, 3)


def test_the_topic_ends_after_the_body_unless_a_line_has_ended_it() -> None:
    publishing = Publishing(end=END)
    publishing.run(lines(1))
    assert publishing.history.batches == [["1"], ["end"]]
    publishing = Publishing(end=END)
    publishing.run(b'{"data": "1", "end": 5}\n')
    assert publishing.history.batches == [["1"]]


def test_a_body_that_cannot_go_on_ends_no_topic() -> None:
    publishing = Publishing(end=END)
    refused(publishing, lines(1) + b"x\n")
    assert publishing.history.batches == [["1"]]


def test_a_silence_ends_the_request_after_an_hour_and_not_before() -> None:
    class Silent(Publishing):
        def run(self, *pieces: bytes, stops: bool = False, ends: bool = True) -> None:
            times = iter([0.0, SILENT_SECONDS - 0.01, SILENT_SECONDS, SILENT_SECONDS])
            clock = self._body._clocks
            self._body._clocks = clock._replace(steady=lambda: next(times))
            super().run(*pieces, stops=stops, ends=ends)

    error = refused(Silent(), ends=False)
    assert (error.status, str(error)) == (408, "No further part of the body came within 3600 s.")


def test_a_token_that_has_expired_ends_the_request_also_while_parts_come() -> None:
    publishing = Publishing(expires_at=10)
    publishing.wall = 9.9
    publishing.run(lines(1))
    publishing.wall = 10
    assert str(refused(publishing, lines(2))) == "expired"
    assert publishing.history.batches == [["1"]]


class Leasing(Publishing):
    """One with a lease, whose time passes while the history keeps the renewals."""

    def __init__(self, fails: Sequence[Exception | None]) -> None:
        super().__init__(first=0, lease_seconds=30)
        self._outcomes = list(fails)
        publish_batch = self.history.publish_batch
        # A third of the lease after the start, and after each renewal.
        times = iter([0.0, *(10.0 * n for n in range(1, 4) for _ in range(2))])
        body = self._body
        body._clocks = body._clocks._replace(steady=lambda: next(times, 31.0))

        async def renewed(batch: Batch) -> Accepted:
            outcome = self._outcomes.pop(0)
            if outcome is not None:
                raise outcome
            return await publish_batch(batch)

        self.history.publish_batch = renewed  # type: ignore[method-assign]


def test_a_lease_is_renewed_each_third_of_it_and_a_history_that_is_away_ends_nothing() -> None:
    publishing = Leasing([None, None, BrokerAwayError("away"), StaleEpochError(1)])
    error = refused(publishing, ends=False)
    assert (error.status, publishing._outcomes) == (403, [])
    assert publishing.history.batches == [[], []]


def test_a_worker_that_stops_reads_what_has_come_and_no_more() -> None:
    publishing = Publishing()
    publishing.run(lines(1), lines(2), stops=True)
    assert publishing.history.batches == [["1"], ["2"]]
    publishing = Publishing()
    error = refused(publishing, lines(1) + b'{"da', stops=True, ends=False)
    assert (error.status, publishing.history.batches) == (503, [["1"]])
    publishing = Publishing()
    assert refused(publishing, *[lines(1)] * 10, stops=True).status == 503
    assert len(publishing.history.batches) == 3


def test_a_history_that_does_not_answer_leaves_open_what_became_of_the_batch() -> None:
    publishing = Publishing()
    publishing.history.fails = [BrokerAwayError("gone", words="is gone")]
    error = refused(publishing, lines(1, 2))
    assert error.status == 503
    assert str(error).startswith("line 1: The history is gone. Those up to line 2 may have been")
    publishing.history.fails = [BrokerAwayError("gone", words="is gone", nothing_taken=True)]
    assert "Send the updates again that were not accepted" in str(refused(publishing, lines(3)))


def test_after_each_batch_it_waits_for_the_streams_of_its_worker() -> None:
    publishing = Publishing()
    publishing.run(b'{"data": "a"}\n{"data": "b"}\n', b'{"data": "c"}\n')
    assert publishing.history.batches == [["a", "b"], ["c"]]
    assert publishing.paced_after == [1, 2]


def test_a_lease_is_renewed_while_it_waits_for_the_streams_and_a_stop_ends_the_wait() -> None:
    publishing = Publishing(first=0, lease_seconds=6)
    publishing.behind_until = 5
    publishing.run(lines(1))
    # The beginning, the update, and two renewals at a third of the lease each.
    assert publishing.history.batches == [[], ["1"], [], []]
    publishing = Publishing(first=0, lease_seconds=6)
    publishing.behind_until = 1000
    publishing.run(lines(1), stops=True)
    assert publishing.history.batches == [[], ["1"]]


def test_nothing_of_a_body_is_published_once_its_token_is_revoked() -> None:
    publishing = Publishing()
    publishing.checks_until_revoked = 2
    assert str(refused(publishing, lines(1), lines(2), lines(3))) == "revoked"
    assert publishing.history.batches == [["1"], ["2"]]
    for pieces in ([], [lines(1)]):
        publishing = Publishing()
        publishing.checks_until_revoked = 0
        assert str(refused(publishing, *pieces, stops=True, ends=False)) == "revoked"
        assert publishing.history.batches == []

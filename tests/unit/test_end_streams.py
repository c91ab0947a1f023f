import asyncio

from bareasgi import HttpRequest, HttpResponse

from barestream.delivery.stream import EndReason
from barestream.delivery.streams import StreamLimits, Streams
from barestream.delivery.time_slices import Slices
from barestream.telemetry.metrics import Metrics
from barestream.web.end_streams import (
    AWAY_MS,
    END_SECONDS,
    SIGNAL_GRACE_SECONDS,
    EndStreams,
)
from barestream.web.open_publishes import OpenPublishes
from fake_writer import FakeClock, fake_stream

LIMITS = StreamLimits(drain_seconds=300, retry_ms=2000)


async def no_wait() -> bool:
    """Set no pace."""
    return False


class Asked:
    """Open streams, and the handler that is asked to end them; a drain may begin meanwhile."""

    def __init__(self, streams: int, drains_at: float | None = None) -> None:
        self.now = FakeClock()
        self.streams = Streams(
            LIMITS, self.now, Metrics(), Slices(self.now), lambda low, high: (low + high) / 2
        )
        self.opened = [fake_stream(self.now) for _ in range(streams)]
        for stream, _ in self.opened:
            self.streams.open(stream)
        self.ended_at: dict[int, float] = {}
        self._drains_at = drains_at

    async def _sleep(self, seconds: float) -> None:
        self.now.seconds += seconds
        if self._drains_at is not None and self.now.seconds >= self._drains_at:
            self.streams.draining = True
        for nth, (stream, _) in enumerate(self.opened):
            if stream.end_reason is not None:
                self.ended_at.setdefault(nth, round(self.now.seconds, 3))

    def answer(self, *headers: tuple[bytes, bytes]) -> HttpResponse:
        handler = EndStreams(self.streams, OpenPublishes(Metrics(), no_wait), self._sleep)
        request = HttpRequest({"headers": headers}, {}, {}, {}, None)  # type: ignore[typeddict-item, arg-type]
        return asyncio.run(handler(request))

    @property
    def reasons(self) -> list[EndReason | None]:
        return [stream.end_reason for stream, _ in self.opened]


def test_all_streams_end_evenly_with_a_delay_beyond_nginxs_absence() -> None:
    asked = Asked(7)
    assert asked.answer().status == 204
    assert asked.reasons == [EndReason.NGINX_STOPPED] * 7
    last = b"retry: %d\n" % (AWAY_MS + 2000)
    assert all(writer.body.endswith(last) and writer.closed for _, writer in asked.opened)
    pace = END_SECONDS / 7
    steps = [round(SIGNAL_GRACE_SECONDS + nth * pace, 3) for nth in range(1, 7)]
    assert sorted(asked.ended_at.values()) == steps


def test_streams_opened_meanwhile_are_accepted() -> None:
    asked = Asked(1)
    assert asked.answer().status == 204
    stream, _ = fake_stream(asked.now)
    asked.streams.open(stream)
    assert stream.end_reason is None
    assert not asked.streams.draining


def test_a_drain_that_begins_within_the_grace_is_not_shortened() -> None:
    asked = Asked(7, drains_at=SIGNAL_GRACE_SECONDS / 2)
    assert asked.answer().status == 503
    assert asked.reasons == [None] * 7


def test_a_drain_that_begins_meanwhile_takes_over_the_remaining_streams() -> None:
    asked = Asked(7, drains_at=SIGNAL_GRACE_SECONDS + END_SECONDS / 2)
    assert asked.answer().status == 503
    assert asked.reasons.count(None) == 3
    asyncio.run(asked.streams.drain(sleep=asked.now.sleep))
    assert asked.reasons.count(EndReason.DRAINED) == 3
    assert asked.now.seconds > LIMITS.drain_seconds / 2


def test_a_request_passed_on_by_nginx_gets_404_and_ends_no_stream() -> None:
    asked = Asked(2)
    assert asked.answer((b"x-forwarded-for", b"203.0.113.9")).status == 404
    assert asked.reasons == [None] * 2

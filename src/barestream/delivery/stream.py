"""One open stream: its writer, its counts, and why it ended."""

from collections.abc import Callable, Generator, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from barestream.delivery.ready import Ready
from barestream.delivery.stall import Stall
from barestream.delivery.subscriber_state import State
from barestream.delivery.writer import Writer, nothing
from barestream.history.record import Place
from barestream.mercure.sse import HEARTBEAT, Frame
from barestream.mercure.time_budget import Budget
from barestream.mercure.token_id import TokenId


class EndReason(StrEnum):
    """Why a stream ended; the values stand in log lines and metrics."""

    CLIENT_LEFT = "client left"
    DRAINED = "drained"
    TOO_SLOW = "too slow"
    ERROR = "error"
    FINISHED = "finished"
    ENDED = "topics ended"
    EXPIRED = "token expired"
    REVOKED = "token revoked"
    FULL = "worker full"
    UNREADY = "worker unready"
    NGINX_STOPPED = "nginx stopped"


def _comment() -> Frame:
    return HEARTBEAT


class Stream:
    """A response that stays open, to one client.

    Args:
        writer: Writes to the client.
        now: A monotonic clock, in seconds.
        labels: The fields of its log line that describe the request.

    Attributes:
        writer: Writes to the client; only write_to_many uses it, other code calls ``write``.
        heartbeat: Returns the frame that is sent after silence.
        ready: What its client is told once its replay is over; None for nothing.
        token: That of its request; None without one.
    """

    __slots__ = (
        "_stall",
        "end_reason",
        "heartbeat",
        "labels",
        "now",
        "opened_at",
        "ready",
        "sent_bytes",
        "sent_events",
        "token",
        "writer",
        "written_at",
    )

    def __init__(self, writer: Writer, now: Callable[[], float], labels: Mapping[str, str]) -> None:
        self.writer = writer
        self.now = now
        self.labels = labels
        self.opened_at = self.written_at = now()
        self._stall: Stall | None = None
        self.sent_events = 0
        self.sent_bytes = 0
        self.end_reason: EndReason | None = None
        self.heartbeat: Callable[[], Frame] = _comment
        self.ready: Ready | None = None
        self.token: TokenId | None = None

    @property
    def paused(self) -> bool:
        """Whether to hold back: the client reads more slowly than the stream sends."""
        return self.writer.paused

    def on_resume(self, callback: Callable[[], None]) -> None:
        """Call back each time that the client has caught up with what was sent."""
        self.writer.on_resume = callback

    def forget(self) -> None:
        """Drop the callbacks: a cycle of references would last until a full garbage collection."""
        self.writer.on_resume = nothing
        self.heartbeat = _comment

    def write(self, frame: Frame, events: int = 0) -> bool:
        """Send a frame that holds so many events.

        Returns:
            Whether it was sent; not if the stream has ended, or its client has left.
        """
        if self.end_reason is not None or not self.writer.write(frame):
            return False
        self.written_at = self.now()
        self.sent_events += events
        self.sent_bytes += len(frame.body)
        return True

    def end(self, reason: EndReason, last: Frame | None = None) -> None:
        """End the response cleanly, with a last frame; the first reason counts."""
        if last is not None:
            self.write(last)
        if self.end_reason is None:
            self.end_reason = reason
            self.writer.close()

    def abort(self, reason: EndReason) -> None:
        """Cut the connection."""
        if self.end_reason is None:
            self.end_reason = reason
        self.writer.abort()

    @property
    def has_waiting_bytes(self) -> bool:
        """Whether something was sent that the kernel has not taken yet."""
        return self.writer.pending_bytes > 0

    def stalled_seconds(self) -> float:
        """Return for how long the client has read nothing while bytes wait for it.

        This also holds below the mark, and for a stream that has ended.
        """
        writer = self.writer
        pending_bytes = writer.pending_bytes
        if not pending_bytes:
            self._stall = None
            return 0.0
        kernel_bytes = writer.kernel_bytes()
        if self._stall is None:
            self._stall = Stall(self.written_at, pending_bytes, kernel_bytes, self.sent_bytes)
        return self._stall.seconds(self.now(), pending_bytes, kernel_bytes, self.sent_bytes)


class Recipient(Protocol):
    """A subscriber, as write_to_many uses it.

    Attributes:
        state: Its state in its feed.
        place: The place up to which it has been sent the events, after a write.
        stream: Its stream.
    """

    state: State
    place: Place
    stream: Stream

    def fall_behind(self, place: Place) -> None:
        """Continue from this place later: the client reads more slowly than the stream sends."""


def write_to_many(
    recipients: Sequence[Recipient],
    frame: Frame,
    events: int,
    span: tuple[Place, Place],
    budget: Budget,
) -> Generator[None, None, int]:
    """Write a frame to each recipient that is live, in the budget's slices.

    It repeats the code of Stream.write and Budget.is_over, because with the calls it took twice the
    time.

    Args:
        recipients: At least one; their streams have one clock, which is the budget's.
        frame: The frame.
        events: How many events the frame holds.
        span: The place of the live recipients before the write, and after it. A recipient whose
            client is not ready falls behind to the first place.
        budget: The slices.

    Returns:
        How many recipients it was sent to.
    """
    size_bytes, sent, live = len(frame.body), 0, State.LIVE
    start, end = span
    now = recipients[0].stream.now
    ends_at = budget.begin()
    for recipient in recipients:
        stream = recipient.stream
        if recipient.state is not live or stream.end_reason is not None:
            continue
        writer = stream.writer
        if writer.paused:
            recipient.fall_behind(start)
            continue
        recipient.place = end
        is_written = writer.write(frame)
        at = now()
        if is_written:
            stream.written_at = at
            stream.sent_events += events
            stream.sent_bytes += size_bytes
            sent += 1
        if at >= ends_at:
            yield
            ends_at = budget.begin()
    return sent

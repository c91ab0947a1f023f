"""One open stream: where its bytes go, how far it has come, and why it ended."""

from collections.abc import Callable, Generator, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from barestream.delivery.stall import Stall
from barestream.delivery.subscriber_state import State
from barestream.delivery.writer import Writer, nothing
from barestream.history.record import Place
from barestream.mercure.sse import HEARTBEAT, Frame
from barestream.mercure.time_budget import Budget


class EndReason(StrEnum):
    """Why a stream ended, as its log line says it."""

    CLIENT_LEFT = "client left"
    DRAINED = "drained"
    TOO_SLOW = "too slow"
    ERROR = "error"
    FINISHED = "finished"
    EXPIRED = "token expired"
    FULL = "worker full"
    UNREADY = "worker unready"
    NGINX_STOPPED = "nginx stopped"


def _comment() -> Frame:
    return HEARTBEAT


class Stream:
    """A response that stays open, to one client.

    Args:
        writer: The way to the client.
        now: A monotonic clock, in seconds.
        labels: What its log line says of the request beside what became of it.

    Attributes:
        writer: The way to the client, for write_to_many: everything else writes by ``write``.
        heartbeat: Returns what is sent into silence.
    """

    __slots__ = (
        "_stall",
        "end_reason",
        "heartbeat",
        "labels",
        "now",
        "opened_at",
        "sent_bytes",
        "sent_events",
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

    @property
    def paused(self) -> bool:
        """Whether to hold back: the client takes less than it is sent."""
        return self.writer.paused

    def on_resume(self, callback: Callable[[], None]) -> None:
        """Call back each time that the client has caught up with what was sent."""
        self.writer.on_resume = callback

    def forget(self) -> None:
        """Let go of whoever was called back: a circle of them would wait for a full collection."""
        self.writer.on_resume = nothing
        self.heartbeat = _comment

    def write(self, frame: Frame, events: int = 0) -> bool:
        """Send a frame that holds so many events.

        Returns:
            Whether it was sent: nothing is once the stream has ended, or its client has gone.
        """
        if self.end_reason is not None or not self.writer.write(frame):
            return False
        self.written_at = self.now()
        self.sent_events += events
        self.sent_bytes += len(frame.body)
        return True

    def end(self, reason: EndReason, last: Frame | None = None) -> None:
        """End the response cleanly, with a last frame; the first reason given stands."""
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
        """Return for how long the client has taken nothing while something waits for it.

        It makes no difference whether that is above the mark, or whether the stream has ended.
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
    """Whoever a frame is written to, if it is live.

    Attributes:
        state: How it stands to its feed.
        place: Up to where it has been sent the events, once it was written to.
        stream: Its stream.
    """

    state: State
    place: Place
    stream: Stream

    def fall_behind(self, place: Place) -> None:
        """Go on from this place later: the client takes less than it is sent."""


def write_to_many(
    recipients: Sequence[Recipient],
    frame: Frame,
    events: int,
    span: tuple[Place, Place],
    budget: Budget,
) -> Generator[None, None, int]:
    """Write a frame to each recipient that is live, in the budget's slices.

    It does what Stream.write and Budget.is_over do, without the calls: with them Python took as
    long again.

    Args:
        recipients: At least one; their streams have one clock, which is the budget's.
        frame: What is written.
        events: How many events it holds.
        span: Where those stand who are live, and where they stand once they were written to. One
            whose client takes no more falls behind to the first.
        budget: The slices.

    Returns:
        To how many it was sent.
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

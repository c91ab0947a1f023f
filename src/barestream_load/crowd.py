"""The streams of one process: opens them one after the other, reads them, and counts faults.

It uses a loop of its own on epoll, not asyncio's, because it has to know since when an event may
have been waiting for it. A single event takes 8 us, of which the kernel's read takes 5; one of many
events in a read takes 2 to 4.
"""

import errno
import os
import select
import socket
import ssl
import time
from collections import deque
from multiprocessing.connection import Connection

from barestream_load.body import InvalidResponseError
from barestream_load.course import Course
from barestream_load.events import Event, Reader
from barestream_load.findings import Findings
from barestream_load.orders import Begin, Finish, Progress
from barestream_load.plan import Plan
from barestream_load.sequence import Sequence
from barestream_load.stream import RefusedError, Stream
from barestream_load.target import reason
from barestream_load.usage import Meter

# A stream without an answer after this time counts as not opened.
OPEN_SECONDS = 10

# How long missing events are waited for after the last publish.
LINGER_SECONDS = 5

# How long further events are waited for after the last expected one, because duplicates come late.
_EXCESS_SECONDS = 0.25

_TELL_SECONDS = 0.25

# How many connections are begun before the open ones are read again.
_OPENED_AT_ONCE = 32

# A unix socket whose queue is full refuses at once; the next try is after this time.
_QUEUE_SECONDS = 0.01

# The size of a read: a full buffer of a loopback connection takes a few reads.
_READ_BYTES = 65_536

_GAP = b"barestream.gap"
_OWN_TYPES = b"barestream."


class Crowd:
    """Streams of one process.

    Args:
        plan: The load of all processes together.
        share: The numbers of this process's streams.
        control: The pipe for orders and findings.
    """

    def __init__(self, plan: Plan, share: range, control: Connection) -> None:
        self._plan = plan
        self._control = control
        self._request = plan.target.request(plan.fields)
        self._tls = plan.target.tls()
        self._found = Findings(streams=len(share))
        self._meter = Meter(f"{len(share)} streams")
        self._reader = Reader()
        self._course = None if plan.publishing else Course()
        self._poll = select.epoll()
        self._due = deque(share)
        self._pause_until = 0.0
        self._streams: dict[int, Stream] = {}
        # A dict keeps the order in which they were begun.
        self._unanswered: dict[int, Stream] = {}
        self._over: list[Stream] = []
        self._has_begun = False
        self._finish: Finish | None = None
        self._asked_ns = time.monotonic_ns()

    def run(self) -> None:
        """Work until the order to finish, and report; end at once if the pipe was closed."""
        self._poll.register(self._control.fileno(), select.EPOLLIN)
        try:
            self._open_and_read()
            self._control.send(self._judge())
        except (EOFError, BrokenPipeError):
            return

    def _open_and_read(self) -> None:
        start = tell_at = time.monotonic()
        finish_by = linger_until = float("inf")
        lacking: list[Stream] | None = None
        while True:
            now = time.monotonic()
            self._open_those_due(now - start)
            if now >= tell_at:
                tell_at = now + _TELL_SECONDS
                self._give_up_on(now)
                self._tell()
                if self._finish is None:
                    self._meter.look()
                else:
                    if lacking is None:
                        lacking = list(self._streams.values()) if self._plan.publishing else []
                        finish_by, linger_until = now + _EXCESS_SECONDS, now + LINGER_SECONDS
                    lacking = [each for each in lacking if self._lacks(each)]
                    if (not lacking and now >= finish_by) or now >= linger_until:
                        return
            self._turn(min(tell_at, self._next_due(start)) - now)

    def _tell(self) -> None:
        settled = self._found.opened + self._found.failed.total()
        open_streams, events = len(self._streams), self._found.events
        self._control.send(Progress(settled, open_streams, events, has_begun=self._has_begun))

    def _next_due(self, start: float) -> float:
        if not self._due:
            return float("inf")
        return max(start + self._due_after(self._due[0]), self._pause_until)

    def _due_after(self, nth: int) -> float:
        return nth * self._plan.ramp_seconds / self._plan.streams

    def _turn(self, wait_seconds: float) -> None:
        """Read everything that has come; if nothing has, wait for it first."""
        most = len(self._streams) + len(self._unanswered) + 1
        since_ns = self._asked_ns
        ready = self._poll.poll(0, most)
        if not ready:
            ready = self._poll.poll(max(0.0, wait_seconds), most)
            # Nothing had come before, so everything came during this wait.
            since_ns = time.monotonic_ns()
        self._asked_ns = time.monotonic_ns()
        for fd, _ in ready:
            stream = self._streams.get(fd)
            if stream is not None:
                self._read(fd, stream, since_ns)
            elif fd in self._unanswered:
                self._go_on_opening(fd, self._unanswered[fd])
            elif fd == self._control.fileno():
                self._obey()

    def _open_those_due(self, elapsed_seconds: float) -> None:
        if time.monotonic() < self._pause_until:
            return
        for _ in range(_OPENED_AT_ONCE):
            if not self._due or self._due_after(self._due[0]) > elapsed_seconds:
                return
            nth = self._due.popleft()
            waited_seconds = elapsed_seconds - self._due_after(nth)
            began_ns = time.monotonic_ns()
            try:
                connection = self._plan.target.socket(nth)
            except OSError as error:
                self._fail(error)
                continue
            code = connection.connect_ex(self._plan.target.address)
            if code == errno.EAGAIN and waited_seconds < OPEN_SECONDS:
                connection.close()
                self._due.appendleft(nth)
                self._pause_until = time.monotonic() + _QUEUE_SECONDS
                return
            if code not in (0, errno.EINPROGRESS):
                connection.close()
                self._fail(OSError(code, os.strerror(code)))
                continue
            self._unanswered[connection.fileno()] = Stream(connection, began_ns)
            self._poll.register(connection.fileno(), select.EPOLLOUT)

    def _go_on_opening(self, fd: int, stream: Stream) -> None:
        try:
            if not stream.is_asked:
                self._ask(fd, stream)
                return
            data = stream.connection.recv(_READ_BYTES)
            if not data:
                raise RefusedError("the connection was closed without an answer")
            rest = stream.answer(data)
        except ssl.SSLWantReadError:
            return
        except (OSError, RefusedError, InvalidResponseError) as error:
            self._close(self._unanswered.pop(fd))
            self._fail(error)
            return
        if rest is None:
            return
        now_ns = time.monotonic_ns()
        stream.heard_ns = now_ns
        self._found.opened += 1
        self._found.open_after.record((now_ns - stream.began_ns) // 1000)
        self._streams[fd] = self._unanswered.pop(fd)
        if rest:
            self._take(fd, stream, rest, now_ns)

    def _ask(self, fd: int, stream: Stream) -> None:
        """Send the request once the connection, and TLS if it is used, are established."""
        if not stream.is_connected:
            code = stream.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            stream.is_connected = True
            self._poll.modify(fd, select.EPOLLIN)
            if self._tls:
                stream.connection = self._tls.wrap_socket(
                    stream.connection,
                    do_handshake_on_connect=False,
                    server_hostname=self._plan.target.server_name,
                )
        if isinstance(stream.connection, ssl.SSLSocket):
            stream.connection.do_handshake()
        stream.connection.send(self._request)
        stream.is_asked = True

    def _fail(self, error: Exception) -> None:
        self._found.failed[reason(error)] += 1

    def _give_up_on(self, now: float) -> None:
        latest_ns = int((now - OPEN_SECONDS) * 1e9)
        for fd, stream in list(self._unanswered.items()):
            if stream.began_ns > latest_ns:
                return
            self._close(self._unanswered.pop(fd))
            self._fail(RefusedError(f"no answer within {OPEN_SECONDS} s"))

    def _read(self, fd: int, stream: Stream, since_ns: int) -> None:
        try:
            data = stream.connection.recv(_READ_BYTES)
        except ssl.SSLWantReadError:
            return
        except OSError:
            self._end(fd, is_whole=False)
            return
        if not data:
            self._end(fd, is_whole=stream.body is not None and stream.body.is_whole)
            return
        now_ns = time.monotonic_ns()
        if now_ns - stream.heard_ns > 1000 * self._found.silence_us:
            self._found.silence_us = (now_ns - stream.heard_ns) // 1000
        stream.heard_ns = now_ns
        sent_ns = self._take(fd, stream, data, now_ns)
        if sent_ns is not None:
            # An event cannot have waited before it was sent.
            self._found.own_wait.record((now_ns - max(since_ns, sent_ns)) // 1000)

    def _take(self, fd: int, stream: Stream, data: bytes, now_ns: int) -> int | None:
        """Record the events in these bytes; return when the last stamped one was sent, or None."""
        body = stream.body
        if body is None:
            return None
        self._found.wire_bytes += len(data)
        try:
            events = stream.read(body, data, self._reader)
        except InvalidResponseError:
            self._end(fd, is_whole=False)
            return None
        sent_ns = None
        for event in events:
            stamp = event.stamp
            if stamp is not None and stamp.run == self._plan.run:
                stream.sequence(stamp.publisher).take(stamp.number)
                sent_ns = stamp.sent_ns
                self._found.latency.record((now_ns - sent_ns) // 1000)
            else:
                self._take_unstamped(stream, event)
        if events:
            self._found.events += len(events)
            stream.had_event = True
        if body.is_over:
            self._end(fd, is_whole=True)
        return sent_ns

    def _take_unstamped(self, stream: Stream, event: Event) -> None:
        if event.type.startswith(_OWN_TYPES):
            self._found.gaps_told += event.type == _GAP
            return
        self._found.unstamped += self._course is None
        if self._course and event.id is not None:
            self._course.enter(event.id, stream.sequence(None))

    def _end(self, fd: int, *, is_whole: bool) -> None:
        stream = self._streams.pop(fd)
        self._close(stream)
        self._over.append(stream)
        if is_whole:
            self._found.ended += 1
        else:
            self._found.cut += 1

    def _close(self, stream: Stream) -> None:
        self._poll.unregister(stream.connection)
        stream.connection.close()

    def _obey(self) -> None:
        order = self._control.recv()
        if isinstance(order, Begin):
            self._begin()
        elif isinstance(order, Finish):
            self._found.usages.append(self._meter.stop())
            self._finish = order
            self._due.clear()

    def _begin(self) -> None:
        """Reset the counts, and expect every event from now on in each open stream."""
        self._found.events = self._found.wire_bytes = self._found.silence_us = 0
        self._meter = Meter(self._meter.usage.name)
        publishing = self._plan.publishing
        for stream in self._streams.values():
            stream.heard_ns = self._asked_ns
            for publisher in range(publishing.publishers if publishing else 0):
                stream.sequences[publisher] = Sequence(0)
        self._has_begun = True
        self._tell()

    def _lacks(self, stream: Stream) -> bool:
        """Return whether expected events are missing in an open stream."""
        return stream.connection.fileno() >= 0 and self._lost(stream) > 0

    def _lost(self, stream: Stream) -> int:
        lost = 0
        for publisher, sequence in stream.sequences.items():
            if publisher is None or self._finish is None:
                lost += sequence.lost()
                continue
            # Events after a stream's end are not expected in it.
            is_open = stream.connection.fileno() >= 0
            upto = self._finish.numbers[publisher] if is_open else 0
            lost += sequence.lost(upto, self._finish.untaken[publisher])
        return lost

    def _judge(self) -> Findings:
        found = self._found
        streams = [*self._streams.values(), *self._over]
        for stream in streams:
            found.lost += self._lost(stream)
            for sequence in stream.sequences.values():
                found.twice += sequence.twice
                found.disordered += sequence.disordered
        for stream in self._streams.values():
            found.silent += not stream.had_event
            silence_us = (self._asked_ns - stream.heard_ns) // 1000
            found.silence_us = max(found.silence_us, silence_us)
        if self._course:
            found.is_compared = self._course.is_common
        return found

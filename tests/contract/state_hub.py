"""Workers on one history, and the connections of their clients, without sockets."""

import asyncio
import json
import math
import random
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import urlencode

from bareasgi import HttpRequest
from bareutils import bytes_writer

from barestream.asgi.contract import EXTENSION
from barestream.delivery.broadcast_loop import BroadcastLoop
from barestream.delivery.feed import Feed
from barestream.delivery.replay import Replay
from barestream.delivery.streams import StreamLimits, Streams
from barestream.delivery.tail import Tail
from barestream.delivery.time_slices import Slices
from barestream.history.broker import Broker
from barestream.history.record import BEGIN, Place
from barestream.history.ring import Ring
from barestream.mercure.bearer import Bearer
from barestream.mercure.patterns import Patterns
from barestream.mercure.selectors import Selectors
from barestream.mercure.sse import Frame
from barestream.mercure.topics import HubUrl
from barestream.telemetry.metrics import Metrics
from barestream.web.beginnings import Beginnings
from barestream.web.event_stream import STREAMS, StreamResponse
from barestream.web.selector_reader import SelectorReader
from barestream.web.subscribe import Subscribe
from state_steps import MOST_REWOUND, Wish

METRICS = Metrics()

RING_EVENTS = 4


class Pace:
    """How far the work of all workers goes between two steps of a course.

    Args:
        numbers: Decide where work is interrupted.
    """

    def __init__(self, numbers: random.Random) -> None:
        self.numbers = numbers
        self._open = asyncio.Event()
        self._open.set()
        self._changing = asyncio.Lock()
        self._on_wire = 0

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def idle(self) -> None:
        """Wait until nobody has anything to do."""
        loop: Any = asyncio.get_running_loop()
        await asyncio.sleep(0)
        # No other sign than the loop's own list says that it is idle.
        while self._on_wire or self._changing.locked() or loop._ready:
            await asyncio.sleep(0)

    async def ask(self, question: Callable[[], Awaitable[Any]]) -> Any:
        """Return an answer of the history some turns later."""
        await self.turns(self.numbers.choice([0, 0, 1, 3]))
        await self._open.wait()
        self._on_wire += 1
        try:
            answer = await question()
        finally:
            self._on_wire -= 1
        await self.turns(self.numbers.choice([0, 0, 1, 3]))
        return answer

    async def change(self, question: Callable[[], Awaitable[Any]]) -> Any:
        """Return the answer to a change of the history, which nobody sees half done."""
        async with self._changing:
            self._open.clear()
            while self._on_wire:
                await asyncio.sleep(0)
            try:
                return await question()
            finally:
                self._open.set()


class LateBroker:
    """A broker whose answers come some turns later, and whose wait ends when the course says.

    Args:
        broker: The broker.
        pace: The pace of its answers.
        trim: Trims the history.
    """

    def __init__(self, broker: Broker, pace: Pace, trim: Callable[[], Awaitable[None]]) -> None:
        self._broker = broker
        self._pace = pace
        self._trim = trim
        self.news = asyncio.Semaphore(0)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._broker, name)

        async def late(*args: object, **options: object) -> Any:
            return await self._pace.ask(lambda: method(*args, **options))

        return late

    async def wait(self, after: Place, most_events: int) -> Any:
        await self.news.acquire()
        return await self.read(after, most_events)

    async def trim(self) -> None:
        await self._pace.change(self._trim)


class Coin(Slices):
    """Slices that end where a random number says so."""

    def __init__(self, numbers: random.Random) -> None:
        super().__init__(_no_time)
        self._numbers = numbers
        self._share = numbers.choice([0, 0.2, 0.7])

    def begin(self) -> float:
        ends_at = super().begin()
        return -math.inf if self._numbers.random() < self._share else ends_at

    def is_over(self) -> bool:
        super().begin()
        return self._numbers.random() < self._share


def _no_time() -> float:
    return 0.0


async def _turn(_: float) -> None:
    await asyncio.sleep(0)


class OpenBook:
    """Stands for the authorization: the header says what a client may read."""

    revoked = None

    def speaks(self, _: object) -> bool:
        return True

    async def subscriber(self, request: HttpRequest, _: object) -> object:
        [text] = [value for name, value in request.scope["headers"] if name == b"authorization"]
        return Bearer(Selectors(()), Selectors(json.loads(text)), None)

    def check_not_revoked(self, *_: object) -> None:
        """Nobody's token is revoked."""

    def lasts_seconds(self, *_: object) -> float:
        return math.inf


class Worker:
    """A worker: a feed, what fills it, and what its clients ask.

    Args:
        broker: The history.
        pace: The pace of its work.
        now: The wall clock, in seconds.
        trim: Trims the history.
    """

    def __init__(
        self,
        broker: Broker,
        pace: Pace,
        now: Callable[[], float],
        trim: Callable[[], Awaitable[None]],
    ) -> None:
        self._late = LateBroker(broker, pace, trim)
        slices = Coin(pace.numbers)
        late = cast("Broker", self._late)
        self.feed = Feed(Ring(RING_EVENTS, BEGIN), METRICS, now, replay=Replay(late, slices))
        self.feed.budget = slices
        self.tail = Tail(late, self.feed, RING_EVENTS, 10**6, slices)
        limits = StreamLimits()
        self.streams = Streams(limits, _no_time, METRICS, slices)
        patterns = Patterns(HubUrl("https://example.com/.well-known/mercure"), 10)
        self.subscribe = Subscribe(
            self.tail,
            cast("Any", OpenBook()),
            Beginnings(self.tail, SelectorReader(10, patterns, slices), MOST_REWOUND),
            now,
        )
        self._trims = asyncio.Semaphore(0)
        works = [
            self.tail.run(_turn),
            self.tail.trim(self._until_trim),
            BroadcastLoop(self.feed, slices, _no_time, _turn).run(),
        ]
        self.tasks = [asyncio.create_task(work) for work in works]

    async def _until_trim(self, _: float) -> None:
        await self._trims.acquire()

    def read_on(self) -> None:
        """Read what follows, if the worker waits for that."""
        self._late.news.release()

    def trim(self) -> None:
        self._trims.release()

    async def end(self) -> None:
        for task in self.tasks:
            assert not task.done(), task.exception()
            task.cancel()
        await asyncio.wait(self.tasks)


class Connection:
    """One request for a stream, and what was sent to it.

    Args:
        worker: The worker.
        wish: What the client asks for; the last id is text.
        header_id: The header Last-Event-ID; empty for none.
        moment: Returns the number of the newest moment of the history.

    Attributes:
        frames: What was written, with the moment of each write.
        asked: The moment of the request.
        began: The moment of the answer; None before it.
        began_from: The place of the worker's ring at that time.
        status: The status of the answer; 0 before it.
        closed: The moment when the worker ended the stream; None if it has not.
    """

    def __init__(
        self, worker: Worker, wish: Wish, header_id: str, moment: Callable[[], int]
    ) -> None:
        self.worker = worker
        self.wish = wish
        self.header_id = header_id
        self._moment = moment
        self.frames: list[tuple[bytes, int]] = []
        self.asked = moment()
        self.asked_from = worker.feed.ring.last
        self.began: int | None = None
        self.began_from = self.asked_from
        self.status = 0
        self.closed: int | None = None
        # That of a writer (see Writer).
        self.on_resume: Callable[[], None] = lambda: None
        self.pending_bytes = 0
        self.is_slow = False
        self.is_cut = False
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        wish = self.wish
        fields = [("topic", each) for each in wish.topics]
        fields += [("new", each) for each in wish.new]
        fields += [("rewind", wish.rewind)] * bool(wish.rewind)
        fields += [("include", wish.include)] * bool(wish.include)
        fields += [("last_event_id", str(wish.last_id))] * bool(wish.last_id)
        fields += [("heartbeat", "event")] * wish.heartbeats
        headers = [(b"authorization", json.dumps(wish.readable).encode())]
        if self.header_id:
            headers.append((b"last-event-id", self.header_id.encode()))
        scope: Any = {
            "type": "http",
            "method": "GET",
            "path": "/.well-known/mercure",
            "query_string": urlencode(fields).encode(),
            "headers": headers,
            "extensions": {EXTENSION: lambda: self},
        }
        info = {STREAMS: self.worker.streams}
        request = HttpRequest(scope, info, {}, {}, bytes_writer(b""))
        response = await self.worker.subscribe(request)
        if isinstance(response, StreamResponse):
            await response.respond(self._send)
        else:
            self._begin(response.status)

    def begin(self, _headers: object) -> bool:
        """Leave the start of the response to a send."""
        return False

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._begin(message["status"])

    def _begin(self, status: int) -> None:
        self.status = status
        self.began = self._moment()
        self.began_from = self.worker.feed.ring.last

    @property
    def paused(self) -> bool:
        return self.is_slow and self.pending_bytes > 0

    def kernel_bytes(self) -> int:
        return 0

    def write(self, frame: Frame) -> bool:
        if self.is_cut or self.closed is not None:
            return False
        self.frames.append((frame.body, self._moment()))
        if self.is_slow and not frame.body.startswith(b"retry"):
            self.pending_bytes += len(frame.body)
        return True

    def close(self) -> None:
        self.closed = self._moment()
        self._over.set()

    async def over(self) -> None:
        await self._over.wait()

    def abort(self) -> None:
        self.is_cut = True
        self._over.set()

    def take(self, *, stays_slow: bool) -> None:
        """Take what waits, as a client does that reads again."""
        was_paused, self.pending_bytes, self.is_slow = self.paused, 0, stays_slow
        if was_paused:
            self.on_resume()

    async def cut(self) -> None:
        """Cut the connection, and wait until the worker has noticed."""
        self.abort()
        if self.began is None:
            self._task.cancel()
        await asyncio.wait([self._task])
        self.check()

    def check(self) -> None:
        """Raise the error of the work for it, if there was one."""
        if self._task.done() and not self._task.cancelled():
            self._task.result()

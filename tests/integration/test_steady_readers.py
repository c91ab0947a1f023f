"""Clients that read slowly but steadily are kept, and those that take nothing are cut."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from bareasgi import Application, HttpRequest, HttpResponse, LifespanRequest
from bareutils import bytes_writer

from barestream.delivery.stream import EndReason, Stream
from barestream.delivery.streams import StreamLimits, Streams
from barestream.delivery.time_slices import Slices
from barestream.mercure.sse import frame
from barestream.telemetry.metrics import Metrics
from barestream.web.event_stream import STREAMS, StreamResponse
from support.clients.publisher import KEY, PATH, Publisher
from support.servers.bound import Bound
from support.servers.served import Served
from support.servers.service import Service, wait_for

# Four times as fast as a phone that takes 15 KB a second and has the default of 30 s.
BYTES_PER_SECOND = 60_000
SLOW_SECONDS = 8
SETTINGS = {
    "workers": 1,
    "token_key": KEY,
    "broker_url": "local",
    "slow_seconds": SLOW_SECONDS,
    "heartbeat_seconds": 2,
}
# More than the kernel and nginx hold for one client together.
PUBLISHED, SIZE_BYTES = 120, 100_000


class SteadyReader:
    """A client that reads a given number of bytes a second, until the test stops it."""

    def __init__(
        self,
        address: tuple[str, int],
        target: str,
        receive_bytes: int = 0,
        bytes_per_second: int = BYTES_PER_SECOND,
    ) -> None:
        self._portion_bytes = bytes_per_second // 20
        self._socket = socket.socket()
        if receive_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.settimeout(30)
        self._socket.connect(address)
        self._socket.sendall(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        self._reading = threading.Event()
        self._reading.set()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.ended = False
        self.read_bytes = 0

    def start(self) -> None:
        self._thread.start()

    def _read(self) -> None:
        try:
            while self._reading.is_set():
                got = self._socket.recv(self._portion_bytes)
                if not got:
                    break
                self.read_bytes += len(got)
                time.sleep(0.05)
            else:
                return
        except ConnectionError:
            pass
        self.ended = True

    def stop(self) -> None:
        """Read nothing more, and leave the connection open."""
        self._reading.clear()
        self._thread.join()

    def close(self) -> None:
        self.stop()
        self._socket.close()


@contextmanager
def reading(address: tuple[str, int], target: str, **options: int) -> Iterator[SteadyReader]:
    reader = SteadyReader(address, target, **options)
    reader.start()
    try:
        yield reader
    finally:
        reader.close()


@pytest.fixture(scope="module", params=[Bound, Service], ids=["direct", "through nginx"])
def service(request: pytest.FixtureRequest) -> Iterator[Service | Bound]:
    with request.param(**SETTINGS) as running:
        yield running


def publish_more_than_is_buffered(service: Service | Bound) -> None:
    async def main() -> None:
        async with Publisher(service.url) as publisher:
            for _ in range(PUBLISHED):
                await publisher.publish("large", data="x" * SIZE_BYTES)

    asyncio.run(main())


@pytest.mark.long
def test_a_client_that_reads_steadily_is_kept_and_cut_when_it_stops_reading(
    service: Service | Bound,
) -> None:
    before = len(service.ended_streams())
    with reading(service.address, f"{PATH}?topic=large") as reader:
        publish_more_than_is_buffered(service)
        # The bytes that the kernel holds at first take the longest.
        time.sleep(4 * SLOW_SECONDS)
        assert service.ended_streams()[before:] == []
        assert not reader.ended
        reader.stop()
        stopped_at = time.monotonic()
        [end] = wait_for(
            "the cut", lambda: service.ended_streams()[before:], seconds=4 * SLOW_SECONDS
        )
        assert end["reason"] == "too slow"
        print(f"cut {time.monotonic() - stopped_at:.1f} s after it took nothing more")


QUICKLY_SLOW_SECONDS = 2


async def until_the_kernel_is_full(stream: Stream) -> None:
    while not stream.has_waiting_bytes:
        stream.write(frame(b"x" * 10_000))
        await asyncio.sleep(0)


@asynccontextmanager
async def ended_below_the_mark(stream: Stream) -> AsyncIterator[None]:
    await until_the_kernel_is_full(stream)
    assert not stream.paused
    stream.end(EndReason.FINISHED)
    yield


def application() -> Application:
    limits = StreamLimits(slow_seconds=QUICKLY_SLOW_SECONDS)
    streams = Streams(limits, time.monotonic, Metrics(), Slices(time.monotonic))
    sweeping: list[asyncio.Task[None]] = []

    async def start(_: LifespanRequest) -> None:
        sweeping.append(asyncio.create_task(streams.run()))

    async def stop(_: LifespanRequest) -> None:
        sweeping.pop().cancel()

    app = Application(info={STREAMS: streams}, startup_handlers=[start], shutdown_handlers=[stop])

    @app.on_http_request({"GET"}, "/ended")
    async def _ended(request: HttpRequest) -> HttpResponse:
        return StreamResponse.opened(request, ended_below_the_mark)

    @app.on_http_request({"GET"}, "/plain")
    async def _plain(_: HttpRequest) -> HttpResponse:
        body = b"x" * 20_000_000
        return HttpResponse(200, [(b"content-length", b"%d" % len(body))], bytes_writer(body))

    return app


@pytest.mark.parametrize("path", ["/ended", "/plain"])
def test_an_ended_answer_is_cut_if_its_client_does_not_read(path: str) -> None:
    with (
        Served(application(), ours=True, slow_seconds=QUICKLY_SLOW_SECONDS) as served,
        reading(served.address, path, receive_bytes=4096) as reader,
    ):
        reader.stop()
        wait_for("the connection", lambda: not served.is_idle)
        asked_at = time.monotonic()
        wait_for("the cut", lambda: served.is_idle, seconds=QUICKLY_SLOW_SECONDS + 15)
        print(f"{path}: cut after {time.monotonic() - asked_at:.1f} s")


def test_a_plain_answer_is_not_cut_while_its_client_reads() -> None:
    with (
        Served(application(), ours=True, slow_seconds=QUICKLY_SLOW_SECONDS) as served,
        reading(served.address, "/plain", bytes_per_second=2_000_000) as reader,
    ):
        wait_for("the answer", lambda: reader.read_bytes > 20_000_000, seconds=30)

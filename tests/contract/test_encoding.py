"""How often an update is encoded on its way to the streams of a process."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from barestream.delivery.feed import Feed
from barestream.delivery.replay import Replay
from barestream.delivery.resume import resumption
from barestream.delivery.stream import Stream
from barestream.delivery.subscription import EVERYTHING_PUBLIC
from barestream.delivery.tail import Tail
from barestream.delivery.time_slices import Slices
from barestream.history import update as updates
from barestream.history.broker import Broker
from barestream.history.record import BEGIN
from barestream.history.ring import Ring
from barestream.history.update import Update
from barestream.history.valkey import codec
from barestream.mercure.sse import Event, encode, encode_stored
from barestream.telemetry.metrics import Metrics
from barestream.web.buffered_writer import BufferedWriter
from support.servers.served import until

COUNT = 20


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the data of every update that is encoded."""
    data: list[str] = []

    def counted(event: Event, given_id: str) -> bytes:
        data.append(event.data)
        return encode(event, given_id)

    def counted_stored(stored: bytes, *others: Any) -> bytes:
        data.append(stored.decode())
        return encode_stored(stored, *others)

    monkeypatch.setattr(updates, "encode", counted)
    monkeypatch.setattr(codec, "encode_stored", counted_stored)
    return data


def text(n: int) -> str:
    return f"text {n:02}"


async def publish_all(broker: Broker) -> None:
    for n in range(COUNT):
        await broker.publish(Update(("topic",), Event(text(n), f"id of {text(n)}")))


def test_a_process_encodes_an_update_once_and_drops_none(
    run: Callable[..., None], encoded: list[str]
) -> None:
    async def scenario(broker: Broker) -> None:
        slices = Slices(time.monotonic)
        feed = Feed(Ring(100, BEGIN), Metrics(), time.time, replay=Replay(broker, slices))
        tail = Tail(broker, feed, 100, 10_000, slices)
        running = asyncio.create_task(tail.run())
        await until(lambda: tail.filled)
        writers = [BufferedWriter() for _ in range(3)]
        streams = [Stream(writer, time.monotonic, {}) for writer in writers]
        with feed.follow(streams[0], feed.ring.floor), feed.follow(streams[1], None):
            await publish_all(broker)
            await until(lambda: len(feed.ring) == COUNT)
            # A client that comes back is sent the same bytes once more.
            with feed.follow(streams[2], feed.ring.floor):
                for _ in feed.flush():
                    pass
                await until(lambda: all(stream.sent_events == COUNT for stream in streams))
        running.cancel()
        await asyncio.wait([running])
        assert encoded == [text(n) for n in range(COUNT)]

    run(scenario)


@pytest.mark.parametrize(
    ("most_events", "most_bytes", "count"), [(0, 10_000, 0), (5, 10_000, 5), (100, 200, 6)]
)
def test_a_request_for_the_newest_updates_encodes_no_more_than_it_asks_for(
    run: Callable[..., None], encoded: list[str], most_events: int, most_bytes: int, count: int
) -> None:
    async def scenario(broker: Broker) -> None:
        await publish_all(broker)
        at_publish = len(encoded)
        page = await broker.newest(most_events, most_bytes)
        assert len(page.records) == count
        newest = [text(n) for n in range(COUNT - count, COUNT)]
        # The local broker encoded them when they were published.
        assert sorted(encoded[at_publish:]) in ([], newest)

    run(scenario)


def test_finding_the_place_from_which_a_client_resumes_encodes_nothing(
    run: Callable[..., None], encoded: list[str]
) -> None:
    async def scenario(broker: Broker) -> None:
        begin = (await broker.read(BEGIN, 0)).floor
        await publish_all(broker)
        third = (await broker.read(begin, 3)).records[-1].place
        slices = Slices(time.monotonic)
        feed = Feed(Ring(5, BEGIN), Metrics(), time.time)
        tail = Tail(broker, feed, 5, 10_000, slices)
        before = len(encoded)
        start = await resumption(tail, EVERYTHING_PUBLIC, [str(third)])
        assert start.place == third
        assert encoded[before:] == []

    run(scenario)

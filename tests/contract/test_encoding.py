"""How often an update is encoded on its way to the streams of a process."""

import asyncio
import time
from collections.abc import Callable

import pytest

from barestream.delivery.feed import Feed
from barestream.delivery.replay import Replay
from barestream.delivery.slices import Slices
from barestream.delivery.stream import Stream
from barestream.delivery.tail import Tail
from barestream.history import update as updates
from barestream.history.broker import Broker
from barestream.history.record import BEGIN
from barestream.history.ring import Ring
from barestream.history.update import Update
from barestream.mercure.sse import Event, encode
from barestream.telemetry.metrics import Metrics
from barestream.web.buffered_writer import BufferedWriter
from served import until

COUNT = 20


def test_a_process_encodes_an_update_once_and_drops_none(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = []

    def counted(event: Event, given_id: str) -> bytes:
        encoded.append(event.data)
        return encode(event, given_id)

    async def scenario(broker: Broker) -> None:
        slices = Slices(time.monotonic)
        feed = Feed(Ring(100, BEGIN), Metrics(), time.time, replay=Replay(broker, slices))
        tail = Tail(broker, feed, 100, 10_000, slices)
        running = asyncio.create_task(tail.run())
        await until(lambda: tail.filled)
        writers = [BufferedWriter() for _ in range(3)]
        streams = [Stream(writer, time.monotonic, {}) for writer in writers]
        texts = [f"text {n}" for n in range(COUNT)]
        with feed.follow(streams[0], feed.log.floor), feed.follow(streams[1], None):
            for text in texts:
                await broker.publish(Update(("topic",), Event(text, f"id of {text}")))
            await until(lambda: len(feed.log) == COUNT)
            # Who comes back is sent the same bytes once more.
            with feed.follow(streams[2], feed.log.floor):
                for _ in feed.flush():
                    pass
                await until(lambda: all(stream.sent_events == COUNT for stream in streams))
        running.cancel()
        await asyncio.wait([running])
        assert encoded == texts

    monkeypatch.setattr(updates, "encode", counted)
    run(scenario)

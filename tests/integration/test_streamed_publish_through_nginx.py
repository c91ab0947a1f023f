"""A publish whose body goes on, through nginx to workers that share a Valkey."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import httpx
import pytest

from support.clients.publisher import KEY, PATH, Publisher
from support.clients.streamed_publisher import (
    EVENTS,
    Answer,
    Persistent,
    StreamedPublish,
    line,
    numbered,
    position,
)
from support.full_size import IS_FULL_SIZE
from support.servers.served import following, until
from support.servers.service import (
    PATIENCE_SECONDS,
    Service,
    children,
    is_alive,
    private_kb,
    wait_for,
)
from support.servers.valkey_server import ValkeyServer

# Both nginx and the app give up a plain body that pauses for 10 s.
PAUSE_SECONDS = 120 if IS_FULL_SIZE else 13

# As many streamed publishes may one address have here, and so many does the test open.
MOST_OPEN = 200

# What a worker may hold of one body: a line of the greatest size, what the server holds of the body
# that it has not passed on, and a batch; also what Python keeps of freed memory.
MOST_HELD_KB = 16_000


@pytest.fixture(scope="module")
def hub(valkey: ValkeyServer) -> Iterator[Service]:
    with Service(
        workers=2,
        token_key=KEY,
        broker_url=valkey.url,
        broker_password=valkey.password,
        streamed_publishes=MOST_OPEN,
    ) as running:
        yield running


def events(hub: Service, topic: str) -> list[str]:
    """Return the data of all updates of a topic."""
    found: list[str] = []
    cursor, headers = "earliest", {"Accept": "application/json"}
    while True:
        query = {"topic": topic, "last_event_id": cursor, "limit": "1000"}
        page = httpx.get(hub.url + PATH, params=query, headers=headers).json()
        assert page["gap"] is None
        found += [event["data"] for event in page["events"]]
        if not page["more"]:
            return found
        cursor = page["cursor"]


def test_each_line_passes_nginx_when_it_comes(hub: Service) -> None:
    async def act() -> Answer:
        async with (
            following(hub.address, "once") as client,
            StreamedPublish(hub.address, [("topic", "once")]) as request,
        ):
            for number in range(3):
                await request.send(line(number))
                await until(lambda number=number: len(client.events) == number + 1)
            return await request.end()

    answer = asyncio.run(act())
    assert (answer.status, answer.body["accepted"]) == (200, 3)


def test_an_event_stream_passes_nginx_when_it_comes(hub: Service) -> None:
    async def act() -> Answer:
        async with (
            following(hub.address, "piped") as client,
            StreamedPublish(hub.address, [("topic", "piped")], EVENTS) as request,
        ):
            await request.send(b"event: delta\ndata: a\n")
            await request.send(b"\ndata: b\n\n: still there\n")
            await until(lambda: len(client.events) == 2)
            return await request.end()

    answer = asyncio.run(act())
    assert (answer.status, answer.body["accepted"]) == (200, 2)


def test_a_pause_that_would_end_a_plain_body_ends_nothing(hub: Service) -> None:
    async def act() -> Answer:
        async with StreamedPublish(hub.address, [("topic", "silent")]) as request:
            await request.send(line("before"))
            await asyncio.sleep(PAUSE_SECONDS)
            assert not request.is_answered
            await request.send(line("after"))
            return await request.end()

    answer = asyncio.run(act())
    assert (answer.status, answer.body["accepted"]) == (200, 2)
    assert hub.complaints() == []


def test_many_are_open_from_one_address_beside_plain_publishes_and_one_more_is_refused(
    hub: Service,
) -> None:
    async def act() -> None:
        async with AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(
                    StreamedPublish(hub.address, [("topic", f"many/{number}")])
                )
                for number in range(MOST_OPEN)
            ]
            async with following(hub.address, "many/{number}") as client:
                for request in opened:
                    await request.send(line("first"))
                await until(lambda: len(client.events) == MOST_OPEN)
                async with StreamedPublish(hub.address, [("topic", "many/x")]) as one_more:
                    await one_more.send(line("x"))
                    refused = await one_more.answer()
                assert refused.status == 429
                assert refused.headers["retry-after"] == "1"
                assert "BARESTREAM_STREAMED_PUBLISHES" in refused.body["detail"]
                async with Publisher(hub.url) as publisher:
                    await asyncio.gather(*(publisher.publish(f"many/{n}") for n in range(50)))
                assert hub.metrics()["barestream_streamed_publishes"] == MOST_OPEN
                answers = await asyncio.gather(*(request.end(line("last")) for request in opened))
                assert [(each.status, each.body["accepted"]) for each in answers] == [
                    (200, 2)
                ] * MOST_OPEN

    asyncio.run(act())
    wait_for("the ends", lambda: hub.metrics()["barestream_streamed_publishes"] == 0)


@pytest.mark.parametrize(
    ("headers", "piece", "status"),
    [
        ({}, b"x" * 65_536, 413),
        ({}, line(1) + b"{]\n", 400),
        ({"Content-Type": "application/json"}, line(1), 415),
        ({"Authorization": "Bearer x"}, line(1), 401),
        (numbered("early", 7), line(1), 409),
    ],
)
def test_an_early_answer_reaches_a_publisher_that_goes_on_sending(
    hub: Service, headers: dict[str, str], piece: bytes, status: int
) -> None:
    async def act() -> Answer:
        async with StreamedPublish(hub.address, [("topic", "e")], headers=headers) as request:
            while not request.is_answered:
                await request.send(piece)
                await asyncio.sleep(0.001)
            return await request.answer()

    answer = asyncio.run(act())
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "accepted" in answer.body
    assert hub.complaints() == []


def test_a_body_of_any_size_is_held_in_parts_alone(hub: Service) -> None:
    size_bytes = 2**30 if IS_FULL_SIZE else 2**27
    piece = line("x" * 8000) * 16
    count = size_bytes // len(piece)
    processes = [*hub.workers(), *children(hub.nginx_pid)]

    async def act() -> Answer:
        async with StreamedPublish(hub.address, [("topic", "large")]) as request:
            for _ in range(count // 4):
                await request.send(piece)
            before = {pid: private_kb(pid) for pid in processes}
            for _ in range(count - count // 4):
                await request.send(piece)
            answer = await request.end()
            grown = {pid: private_kb(pid) - kb for pid, kb in before.items()}
            # The history itself is in Valkey, and the ring of a worker was full before.
            assert max(grown.values()) < MOST_HELD_KB
            return answer

    answer = asyncio.run(act())
    assert (answer.status, answer.body["accepted"]) == (200, 16 * count)


def test_a_publisher_waits_while_the_history_does_not_answer_and_little_is_held(
    hub: Service, valkey: ValkeyServer
) -> None:
    piece, processes = line("x" * 8000) * 8, [*hub.workers(), *children(hub.nginx_pid)]

    async def act() -> tuple[Answer, int, dict[int, int]]:
        async with StreamedPublish(hub.address, [("topic", "held")]) as request:
            await request.send(line("first"))
            await until(lambda: events(hub, "held") == ["first"])
            before = {pid: private_kb(pid) for pid in processes}
            valkey.pause()
            sent = 0
            try:
                # It is answered once the history is given up.
                while not request.is_answered:
                    await request.send(piece)
                    sent += len(piece)
            finally:
                grown = {pid: private_kb(pid) - kb for pid, kb in before.items()}
                valkey.resume()
            return await request.answer(), sent, grown

    answer, sent_bytes, grown = asyncio.run(act())
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    # The kernel's buffers on the way, on both sides of nginx.
    assert sent_bytes < 16_000_000
    assert max(grown.values()) < MOST_HELD_KB
    wait_for("the hub", lambda: httpx.get(f"{hub.url}/readyz").status_code == 200)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_worker_that_stops_answers_at_once_and_says_what_it_has(
    valkey: ValkeyServer, number: signal.Signals
) -> None:
    valkey.ask("FLUSHALL")
    with Service(
        workers=1,
        token_key=KEY,
        broker_url=valkey.url,
        broker_password=valkey.password,
        drain_seconds=20,
    ) as service:

        async def act() -> tuple[Answer, float]:
            async with StreamedPublish(
                service.address, [("topic", "stop")], headers=numbered("p", 0)
            ) as request:
                await request.send(line(0) + line(1) + b'{"data": "half')
                await until(lambda: events(service, "stop") == ["0", "1"])
                started_at = time.monotonic()
                service.signal(number)
                return await request.answer(), time.monotonic() - started_at

        [worker] = service.workers()
        answer, seconds = asyncio.run(act())
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert (answer.body["accepted"], answer.body["next"]) == (2, 2)
        assert seconds < 3
        # Nor does the request keep the worker.
        wait_for("the worker's end", lambda: not is_alive(worker), 10)
        # nginx's line about the answer has its status.
        others = [each for each in service.complaints() if '"status": 503' not in each]
        assert others == []


def restart_nginx(service: Service, _: ValkeyServer) -> None:
    service.restart_nginx()


def kill_a_worker(service: Service, _: ValkeyServer) -> None:
    os.kill(random.choice(service.workers()), signal.SIGKILL)


def reload(service: Service, _: ValkeyServer) -> None:
    service.signal(signal.SIGHUP)


def restart_valkey(_: Service, valkey: ValkeyServer) -> None:
    valkey.kill()
    valkey.start()


@pytest.mark.parametrize("fault", [reload, kill_a_worker, restart_nginx, restart_valkey])
def test_a_publisher_that_goes_on_by_its_position_loses_nothing_and_sends_nothing_twice(
    valkey: ValkeyServer, fault: Callable[[Service, ValkeyServer], None]
) -> None:
    publishers, lines = 4, 300
    valkey.ask("FLUSHALL")
    with Service(
        workers=2, token_key=KEY, broker_url=valkey.url, broker_password=valkey.password
    ) as service:

        async def act() -> list[Persistent]:
            all_of_them = [
                Persistent(service.address, f"t/{number}", "p", 0.01)
                for number in range(publishers)
            ]
            running = [asyncio.create_task(each.publish(lines)) for each in all_of_them]
            for part in (1, 2):
                await until(
                    lambda part=part: all(each.next > part * lines // 3 for each in all_of_them)
                )
                await asyncio.to_thread(fault, service, valkey)
            async with asyncio.timeout(PATIENCE_SECONDS):
                answers = await asyncio.gather(*running)
            assert [answer.body["next"] for answer in answers] == [lines] * publishers
            return all_of_them

        all_of_them = asyncio.run(act())
        for number in range(publishers):
            assert events(service, f"t/{number}") == [str(each) for each in range(lines)]
        assert max(each.requests for each in all_of_them) > 1


def test_connections_that_are_cut_at_random_lose_nothing_and_send_nothing_twice(
    hub: Service,
) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    publisher = Persistent(hub.address, "cut", "p", 0)
    publishing = publisher.publish(1000, random.Random(seed))
    answer = asyncio.run(asyncio.wait_for(publishing, 2 * PATIENCE_SECONDS))
    assert answer.body["next"] == 1000
    assert events(hub, "cut") == [str(number) for number in range(1000)]
    assert publisher.requests > 1
    found = asyncio.run(position(hub.address, "cut", "p"))
    assert found.body["next"] == 1000

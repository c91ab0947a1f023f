"""Traces of the real service, at a real collector: through nginx, two workers and Valkey."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from support.clients.publisher import KEY, PATH, token
from support.servers.collector import Collector, running_collector
from support.servers.served import following, until
from support.servers.service import Service, wait_for
from support.servers.valkey_server import ValkeyServer

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = {"Authorization": f"Bearer {token()}", "traceparent": f"00-{TRACE}-{SPAN}-01"}
SENT, NOT_SENT = "traces are sent again", "traces cannot be sent"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def service(collector: Collector) -> Iterator[Service]:
    with (
        ValkeyServer() as valkey,
        Service(
            workers=2,
            token_key=KEY,
            broker_url=valkey.url,
            broker_password=valkey.password,
            drain_seconds=0,
            traces_url=collector.url,
            # Only publishes whose request says so are traced.
            traces_ratio=0,
        ) as running,
    ):
        yield running


def publish_on(worker: Path, topic: str) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(worker))) as inside:
        answer = inside.post(f"http://inside{PATH}", data={"topic": topic}, headers=TRACED)
    assert answer.status_code == 200, answer.text


def lines(service: Service) -> list[str]:
    """Return what the app has logged of the collector."""
    told = [line["message"] for line in service.app_log()]
    return [message for message in told if message in (SENT, NOT_SENT)]


def test_a_publish_and_its_deliveries_by_two_workers_are_one_trace(
    service: Service, collector: Collector
) -> None:
    async def main() -> str:
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(following(worker, topic))
                for worker in service.current_sockets
                for topic in ("t", "t", "other")
            ]
            async with httpx.AsyncClient(base_url=service.url) as publisher:
                untraced = {"Authorization": TRACED["Authorization"]}
                await publisher.post(PATH, data={"topic": "t"}, headers=untraced)
                answer = await publisher.post(PATH, data={"topic": "t"}, headers=TRACED)
            assert answer.status_code == 200, answer.text
            await until(lambda: [len(each.events) for each in clients] == [2, 2, 0] * 2)
        return answer.text

    event_id = asyncio.run(main())
    wait_for("the spans", lambda: len(collector.spans) >= 4)
    assert {span.trace for span in collector.spans} == {TRACE}
    [publish] = collector.named("publish")
    [append] = collector.named("history append")
    delivers = collector.named("deliver")
    assert publish.parent == SPAN
    assert append.parent == publish.id
    assert publish.attributes["http.response.status_code"] == 200
    assert publish.attributes["service.name"] == "barestream"
    assert len({span.worker for span in delivers}) == len(delivers) == 2
    for span in delivers:
        assert span.links == [(TRACE, publish.id)]
        assert span.attributes["barestream.streams"] == 2
        assert span.attributes["barestream.update.id"] == event_id


def test_a_collector_that_is_away_holds_up_nothing_and_is_found_again(
    service: Service, collector: Collector
) -> None:
    worker, _ = service.current_sockets
    collector.status = 500
    publish_on(worker, "nobody")
    wait_for("the log", lambda: lines(service) == [NOT_SENT])
    [line] = [line for line in service.app_log() if line["message"] == NOT_SENT]
    assert line["why"] == "the collector answers 500 Internal Server Error"
    lost = service.metrics()['barestream_spans_total{outcome="failed"}']
    publish_on(worker, "nobody")
    wait_for(
        "further spans",
        lambda: service.metrics()['barestream_spans_total{outcome="failed"}'] >= lost + 2,
    )
    collector.status = 200
    publish_on(worker, "nobody")
    wait_for("the log", lambda: lines(service) == [NOT_SENT, SENT])


def test_a_collector_that_hangs_does_not_hold_up_the_end(
    service: Service, collector: Collector
) -> None:
    collector.answers.clear()
    batches, before = collector.batches, len(lines(service))
    for worker in service.current_sockets:
        publish_on(worker, "nobody")
    wait_for("the batches", lambda: collector.batches >= batches + 2)
    service.signal(signal.SIGTERM)
    wait_for("the end", lambda: not service.is_app_running())
    said = [line["message"] for line in service.app_log()]
    assert len([message for message in said if message.startswith("Worker exiting")]) == 2
    assert not [message for message in said if "in time" in message]
    assert lines(service)[before:] == [NOT_SENT, NOT_SENT]

"""Alerts about Valkey and the history: the fault, the alert, and its end once that is mended."""

import shutil
from contextlib import AsyncExitStack, ExitStack, closing
from pathlib import Path

import httpx

from support.clients.operator import Operator
from support.clients.streamed_publisher import StreamedPublish, line, numbered
from support.servers.sentinel_group import SentinelGroup
from support.servers.served import following
from support.servers.service import wait_for
from watched_hub import act, again_and_again, instance, published, watched, watching


def test_a_valkey_that_is_away() -> None:
    alerts = ("HistoryAway", "HistoryRefusesUpdates", "PublishesFail")
    with watched() as hub, again_and_again(hub.publish):
        hub.valkey.kill()
        hub.until_firing(*alerts)
        hub.valkey.start()
        hub.until_over(*alerts)


def test_a_valkey_that_refuses_updates() -> None:
    alerts = ("HistoryRefusesUpdates", "PublishesFail")
    with watched() as hub, again_and_again(hub.publish):
        hub.valkey.ask("CONFIG", "SET", "min-replicas-to-write", 1)
        hub.until_firing(*alerts)
        hub.until_over("HistoryAway")
        hub.valkey.ask("CONFIG", "SET", "min-replicas-to-write", 0)
        hub.until_over(*alerts)


def test_a_valkey_with_an_older_copy_of_its_data(tmp_path: Path) -> None:
    alerts = ("HistoryLost", "RevocationsLost")

    def revoke(subject: str) -> None:
        with closing(Operator(hub.service.url)) as operator:
            operator.revoke(sub=subject)

    def has_read(revocations: int) -> bool:
        text = httpx.get(f"{hub.service.url}/metrics").text
        return f"barestream_revocations {revocations}.0" in text

    with watched(workers=1) as hub:
        revoke("one")
        assert hub.publish() == 200
        files = hub.valkey.folder / "appendonlydir"
        copy = shutil.copytree(files, tmp_path / "copy")
        revoke("another")
        assert hub.publish() == 200
        wait_for("both revocations", lambda: has_read(2))
        hub.valkey.stop()
        shutil.rmtree(files)
        shutil.copytree(copy, files)
        hub.valkey.start()
        hub.until_firing(*alerts)
        hub.until_over(*alerts)


def test_sentinels_that_are_away() -> None:
    with ExitStack() as stack:
        group = stack.enter_context(SentinelGroup())
        valkey = group.servers[0]
        service = stack.enter_context(instance(valkey, broker_url=group.url))
        hub = stack.enter_context(watching(service, valkey))
        away = group.sentinels[1:]
        for each in away:
            each.pause()
        hub.until_firing("SentinelsAway")
        for each in away:
            each.resume()
        hub.until_over("SentinelsAway")


def test_a_valkey_whose_memory_is_nearly_full() -> None:
    with watched() as hub:
        figures = hub.valkey.ask("INFO", "memory")
        hub.valkey.ask("CONFIG", "SET", "maxmemory", figures["used_memory"] + 50_000)
        hub.until_firing("ValkeyMemoryNearLimit")
        hub.valkey.ask("CONFIG", "SET", "maxmemory", 0)
        hub.until_over("ValkeyMemoryNearLimit")


def test_a_history_that_is_too_short_and_clients_that_miss_events() -> None:
    async def come_back(stack: AsyncExitStack) -> None:
        for _ in range(20):
            headers = {"Last-Event-ID": first}
            await stack.enter_async_context(following(hub.service.address, "news", headers=headers))
        await hub.wait(hub.until_firing, "ClientsMissEvents")

    with watched(history_events=20, ring_events=1) as hub:
        first = published(hub.service)
        for _ in range(60):
            assert hub.publish() == 200
        hub.until_firing("HistoryIsShort")
        act(come_back)
        # Then it has no updates.
        hub.valkey.ask("FLUSHALL")
        hub.until_over("HistoryIsShort", "ClientsMissEvents")


def test_producers_without_room_and_one_that_does_not_come_back() -> None:
    async def publish(_stack: AsyncExitStack) -> None:
        address, topic = hub.service.address, [("topic", "news")]
        async with StreamedPublish(address, topic, headers=numbered("a", 0, lease=30)) as stream:
            await stream.send(line("x"))
            await hub.wait(hub.until_firing, "LeasesNearLimit")

    with watched(producers=1) as hub:
        act(publish)
        hub.until_firing("TopicsInterrupted")
        hub.until_over("LeasesNearLimit", "TopicsInterrupted")

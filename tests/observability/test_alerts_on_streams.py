"""Alerts about streams and tokens: the fault, the alert, and its end once that is mended."""

import socket
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path

from support.clients.operator import claiming
from support.clients.publisher import ISSUER, PATH, RESOURCE
from support.servers.issuer import running_issuer
from support.servers.served import following
from support.servers.service import ROOT
from watched_hub import act, again_and_again, published, watched

BUG = Path(__file__).parent / "bug"


def test_a_worker_that_is_full() -> None:
    alerts = ("StreamsNearLimit", "StreamsTurnedAway")

    async def fill(stack: AsyncExitStack) -> None:
        for _ in range(4):
            await stack.enter_async_context(following(hub.service.address, "news"))
        await hub.wait(hub.until_firing, *alerts)

    with watched(workers=1, streams_per_worker=3) as hub:
        act(fill)
        hub.until_over(*alerts)


def test_clients_that_read_nothing() -> None:
    request = f"GET {PATH}?topic=large HTTP/1.1\r\nHost: test\r\n\r\n".encode()
    with watched(slow_seconds=1, history_bytes=100_000_000) as hub, ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(hub.service.address)
            client.sendall(request)
        # More than the kernel holds for them.
        with again_and_again(partial(hub.publish, "large", data="x" * 400_000), 0):
            hub.until_firing("SlowClientsCut")
        hub.until_over("SlowClientsCut")


def test_a_bug_that_ends_streams(tmp_path: Path) -> None:
    bug = tmp_path / "bug"

    async def come_back(stack: AsyncExitStack) -> None:
        # The ring no longer has what it missed, so that is read from the history.
        headers = {"Last-Event-ID": first}
        await stack.enter_async_context(following(hub.service.address, "news", headers=headers))
        await hub.wait(hub.until_firing, "StreamsEndInErrors")

    environment = {"PYTHONPATH": f"{BUG}:{ROOT / 'src'}", "HUB_BUG": str(bug)}
    with watched(environment=environment, ring_events=1) as hub:
        first = published(hub.service)
        for _ in range(3):
            assert hub.publish() == 200
        bug.touch()
        act(come_back)
        [line] = hub.service.says("a replay failed")
        assert "the bug of tests/observability/bug" in line["exc_info"]
        bug.unlink()
        hub.until_over("StreamsEndInErrors")


def test_a_subscription_that_presence_does_not_show() -> None:
    async def subscribe(stack: AsyncExitStack) -> None:
        headers = {"Authorization": f"Bearer {claiming(sub='x' * 5000)}"}
        await stack.enter_async_context(following(hub.service.address, "news", headers=headers))
        await hub.wait(hub.until_firing, "SubscriptionsNotShown")

    with watched(subscriptions="true") as hub:
        act(subscribe)
        hub.until_over("SubscriptionsNotShown")


def test_an_issuer_that_is_away(tmp_path: Path) -> None:
    with running_issuer() as issuer:
        issuer.add("first")
        issuer.mood = "error"
        issuers = tmp_path / "issuers.toml"
        issuers.write_text(f'[[issuer]]\nid = "{ISSUER}"\njwks_uri = "{issuer.url}"\n')
        # It is away from the start on.
        settings = {"issuers": issuers, "resource_identifier": RESOURCE}
        with watched(but_for={"IssuerKeysAway"}, **settings) as hub:
            hub.until_firing("IssuerKeysAway")
            issuer.mood = "well"
            hub.until_over("IssuerKeysAway")


def test_revocations_that_cannot_be_read() -> None:
    with watched() as hub:
        hub.valkey.ask("SET", "{barestream}:revocations_state", "no hash")
        hub.until_firing("RevocationsNotRead")
        hub.valkey.ask("DEL", "{barestream}:revocations_state")
        hub.until_over("RevocationsNotRead")

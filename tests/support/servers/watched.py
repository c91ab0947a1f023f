"""Two instances of the real service on one Valkey, in use, and a Prometheus that scrapes both."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from support.clients.publisher import ISSUER, KEY, RESOURCE, Publisher, token
from support.servers.bound import Bound
from support.servers.prometheus import FOLDER, Prometheus
from support.servers.served import following
from support.servers.service import PATIENCE_SECONDS, free_port
from support.servers.valkey_server import ValkeyServer

INSTANCES = 2
WORKERS = 2
STREAMS_PER_INSTANCE = 3

# How far back the rates look: some scrapes.
RATE_SECONDS = 5

_PAUSE_SECONDS = 0.05
_VALKEY_MOST_BYTES = 200_000_000


@dataclass
class Watched:
    """What is watched.

    Attributes:
        prometheus: Scrapes the instances.
        instances: The addresses of the instances, as Prometheus's label has them.
        streams: How many streams are open at each.
    """

    prometheus: Prometheus
    instances: list[str]
    streams: int = STREAMS_PER_INSTANCE


@asynccontextmanager
async def watched() -> AsyncIterator[Watched]:
    """Begin once each figure that needs a fault has had one; the use goes on while it lasts."""
    async with AsyncExitStack() as stack:
        valkey = stack.enter_context(ValkeyServer())
        valkey.ask("CONFIG", "SET", "maxmemory", _VALKEY_MOST_BYTES)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bs-watched-")))
        hubs = [stack.enter_context(_hub(valkey, folder)) for _ in range(INSTANCES)]
        targets = [f"127.0.0.1:{hub.port}" for hub in hubs]
        rules = (FOLDER / "rules.yml").read_text()
        prometheus = stack.enter_context(Prometheus(targets, rules))
        for hub in hubs:
            for _ in range(STREAMS_PER_INSTANCE):
                headers = {"Authorization": f"Bearer {token()}"}
                await stack.enter_async_context(following(hub.address, "news", headers=headers))
            publishing = asyncio.create_task(_publish(hub))
            stack.callback(publishing.cancel)
        await _have_failures(hubs, valkey, prometheus)
        yield Watched(prometheus, targets)


def _hub(valkey: ValkeyServer, folder: Path) -> Bound:
    issuers = folder / "issuers.toml"
    # Nothing listens there.
    jwks_uri = f"http://127.0.0.1:{free_port()}/keys"
    issuers.write_text(f'[[issuer]]\nid = "{ISSUER}"\njwks_uri = "{jwks_uri}"\n')
    return Bound(
        workers=WORKERS,
        broker_url=valkey.url,
        broker_password=valkey.password,
        token_key=KEY,
        subscriptions="true",
        issuers=issuers,
        resource_identifier=RESOURCE,
    )


async def _publish(hub: Bound) -> None:
    """Publish all the time, also by a token that is refused; each answer is fine."""
    async with Publisher(hub.url) as publisher, Publisher(hub.url, "wrong") as refused:
        while True:
            await publisher.post("news", data="x" * 100)
            await refused.post("news", data="x")
            await asyncio.sleep(_PAUSE_SECONDS)


async def _have_failures(hubs: list[Bound], valkey: ValkeyServer, prometheus: Prometheus) -> None:
    """Have Valkey refuse what is written, until each instance has counted it, and heal it."""
    valkey.ask("CONFIG", "SET", "min-replicas-to-write", 1)
    for counter in ("publishes_failed", "subscription_changes_failed"):
        # A change is told while a stream begins.
        async with following(hubs[0].address, "news"):
            query = f'count(barestream_{counter}_total{{cause="NOREPLICAS"}}) > 0'
            await _until_there_is(prometheus, query)
    valkey.ask("CONFIG", "SET", "min-replicas-to-write", 0)
    await _until_there_is(prometheus, "min(barestream_history_writable) == 1")
    # Until the rates look at successes as well.
    lag = f"rate(barestream_delivery_lag_seconds_count[{RATE_SECONDS}s]) > 0"
    await _until_there_is(prometheus, f"count({lag}) == {INSTANCES}")
    fresh = f"count(rate(barestream_publishes_failed_total[{RATE_SECONDS}s])) == {INSTANCES}"
    await _until_there_is(prometheus, fresh)


async def _until_there_is(prometheus: Prometheus, query: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await asyncio.to_thread(prometheus.query, query):
            await asyncio.sleep(0.2)

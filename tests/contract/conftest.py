"""The two brokers: the memory of a worker, and a real Valkey on this machine."""

import math
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from barestream.history import local_log
from barestream.history.broker import Broker, HistoryBounds
from barestream.history.local import LocalBroker
from barestream.history.producers import ProducerBounds
from barestream.history.subscriptions import RegistryBounds
from barestream.history.update import Update
from barestream.history.valkey import scripts
from barestream.history.valkey.broker import ValkeyBroker
from scenarios import run_on
from support.servers.service import wait_for
from support.servers.valkey_server import ValkeyServer


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[ValkeyServer]:
    """Return a running server, for tests that leave it running."""
    with ValkeyServer() as running:
        yield running


@pytest.fixture
def server(shared_valkey: ValkeyServer) -> ValkeyServer:
    """Return the shared server, empty and without a connection of the test before."""
    wait_for(
        "the end of the connections",
        lambda: b"name=barestream" not in shared_valkey.ask("CLIENT", "LIST"),
    )
    shared_valkey.ask("FLUSHALL")
    return shared_valkey


@pytest.fixture
def fresh_valkey() -> Iterator[ValkeyServer]:
    """Return a running server for one test, which may stop or break it."""
    with ValkeyServer() as running:
        yield running


@pytest.fixture(params=["local", "valkey"])
def home(request: pytest.FixtureRequest) -> str:
    """Return where the history is kept."""
    return str(request.param)


@pytest.fixture
def weigh(home: str) -> Callable[..., int]:
    """Return a function that returns how much memory updates take there, in bytes."""
    weights = local_log.WEIGHTS if home == "local" else scripts.WEIGHTS

    def weigh_together(*updates: Update) -> int:
        size_bytes = sum(update.size_bytes for update in updates)
        ids = sum(update.event.id is not None for update in updates)
        places = [(topic, update.private) for update in updates for topic in {*update.topics}]
        return math.ceil(weights.total(size_bytes, len(updates), ids, len({*places}), len(places)))

    return weigh_together


@pytest.fixture
def run(home: str, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Return a function that runs a scenario on a broker with an empty history.

    The bounds are given by name, those of topics as HistoryBounds has them; bounds that are not
    given are too large to matter. The clock is that of the broker in memory; Valkey has its own.
    """
    server: ValkeyServer | None = request.getfixturevalue("server") if home == "valkey" else None

    def run_scenario(
        scenario: Callable[[Broker], Awaitable[None]],
        *,
        events: int = 1000,
        seconds: float = 3600,
        size: int = 1_000_000,
        now: Callable[[], float] = time.time,
        of_producers: ProducerBounds | None = None,
        of_registry: RegistryBounds | None = None,
        **of_topics: int,
    ) -> None:
        bounds = HistoryBounds(events, seconds, size, **of_topics)

        def make() -> Broker:
            if server is None:
                return LocalBroker(bounds, now, of_producers, of_registry)
            return ValkeyBroker(server.url, bounds, server.password, of_producers, of_registry)

        if server is not None:
            server.ask("FLUSHALL")
        run_on(make, scenario)

    return run_scenario

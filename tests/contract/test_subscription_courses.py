"""Random courses of subscriptions: the registry in Valkey does what the one in memory does.

The seed is SUBSCRIPTION_SEED (17 if it is not set); SUBSCRIPTION_EXAMPLES asks for another number
of courses. Each grace is another one, so that both wait for the same one first: none is over before
the course ends, or it was over from the beginning.
"""

import asyncio
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from barestream.history.broker import Broker, HistoryBounds
from barestream.history.local import LocalBroker
from barestream.history.subscription_table import _Entry
from barestream.history.subscriptions import RegistryBounds, Subscription
from barestream.history.valkey.broker import ValkeyBroker
from streams import FAR_MS, HOUR_MS, away, subscription, told
from support.servers.valkey_server import ValkeyServer

SEED = int(os.environ.get("SUBSCRIPTION_SEED", "17"))
EXAMPLES = int(os.environ.get("SUBSCRIPTION_EXAMPLES", "40"))
BOUNDS = HistoryBounds(100_000, 3600, 100_000_000)
OF_REGISTRY = RegistryBounds(subscriptions=10)
STEP_MS = 10_000
LEASES = b"{barestream}:worker_leases"

STREAMS = st.integers(0, 19)
WORKERS = st.sampled_from("vw")


@dataclass(frozen=True)
class Change:
    """A change of a worker: the streams that begin, that go away, and that leave."""

    worker: str
    began: list[int]
    away: list[int]
    left: list[int]
    is_over: bool


@dataclass(frozen=True)
class Leave:
    """Somebody leaves: all pages or one; at once, or with a grace."""

    who: str
    client: str
    topics: list[str] | None
    is_at_once: bool


@dataclass(frozen=True)
class Lapse:
    """A worker is lost."""

    worker: str
    is_over: bool


FEW = st.lists(STREAMS, max_size=4, unique=True)
STEPS = st.one_of(
    st.builds(Change, WORKERS, FEW, FEW, st.lists(STREAMS, max_size=1), st.just(value=False)),
    st.builds(Change, WORKERS, FEW, FEW, st.just([]), st.booleans()),
    st.builds(
        Leave,
        st.sampled_from(["", "a"]),
        st.sampled_from(["", "c0", "c1"]),
        st.none() | st.lists(st.sampled_from("tu"), max_size=2),
        st.sampled_from([True, False, False, False]),
    ),
    st.builds(Lapse, WORKERS, st.sampled_from([True, False, False, False])),
    st.builds(Lapse, WORKERS, st.booleans()),
    st.just("sweep"),
)


def of_stream(number: int) -> Subscription:
    """Return the subscription of a stream: of one of two pages, of somebody or nobody."""
    who, topic, client = ("", "a")[number % 2], "tu"[number // 2 % 2], f"c{number // 4 % 2}"
    # Some are no exact topics.
    return subscription(
        str(number), topic, who=who, client=client, exact=topic == "t", since_ms=number
    )


class Pair:
    """Both registries, and what each step needs."""

    def __init__(self, server: ValkeyServer) -> None:
        self.server = server
        self.local = LocalBroker(BOUNDS, time.time, None, OF_REGISTRY)
        self.valkey = ValkeyBroker(server.url, BOUNDS, server.password, None, OF_REGISTRY)
        self._graces = 0
        self._told: list[list[str]] = [[], []]

    @property
    def brokers(self) -> tuple[Broker, Broker]:
        return self.local, self.valkey

    def grace_ms(self, *, is_over: bool) -> int:
        """Return a grace that no step before has."""
        self._graces += 1
        return -STEP_MS * self._graces if is_over else HOUR_MS + STEP_MS * self._graces

    async def take(self, step: Change | Leave | Lapse | str) -> None:
        """Take a step on both, and compare what they answer and have."""
        if isinstance(step, Change):
            answers = await self._change(step)
        elif isinstance(step, Leave):
            answers = await self._leave(step)
        else:
            grace_ms = 0
            if isinstance(step, Lapse):
                grace_ms = self.grace_ms(is_over=step.is_over)
                self._lapse(step.worker)
            answers = [
                (await each.registry.sweep(FAR_MS, FAR_MS, grace_ms))[1:] for each in self.brokers
            ]
        assert answers[0] == answers[1]
        local, valkey = [await self._state(each) for each in self.brokers]
        assert local == valkey
        news = []
        for number, each in enumerate(self.brokers):
            before, self._told[number] = self._told[number], await told(each)
            news.append(self._told[number][len(before) :])
            assert self._told[number][: len(before)] == before
        if not isinstance(step, Change):
            # Those that end together have no order.
            news = [sorted(each) for each in news]
        assert news[0] == news[1]

    async def _change(self, step: Change) -> list[object]:
        ended = {number: self.grace_ms(is_over=step.is_over) for number in step.away}
        # No id is in two of them.
        began = [number for number in step.began if number not in ended]
        left = [number for number in step.left if number not in (*began, *ended)]
        return [
            await each.registry.change(
                step.worker,
                list(map(of_stream, began)),
                [away(of_stream(number), grace_ms) for number, grace_ms in ended.items()],
                [of_stream(number).id for number in left],
            )
            for each in self.brokers
        ]

    async def _leave(self, step: Leave) -> list[object]:
        identity = f"issuer {step.who}" if step.who else ""
        table = self.local.registry._table
        named = list(table.of_person(identity, step.client, step.topics))
        is_at_once = step.is_at_once or self._has_equals(table._entries[name] for name in named)
        after_ms = 0 if is_at_once else self.grace_ms(is_over=False)
        return [
            await each.registry.leave(identity, step.client, step.topics, after_ms)
            for each in self.brokers
        ]

    def _lapse(self, worker: str) -> None:
        table = self.local.registry._table
        entries = table._entries.values()
        open_here = [each for each in entries if each.absence is None and each.worker == worker]
        if worker not in table._renewed_ms or self._has_equals(open_here):
            return
        table._renewed_ms[worker] -= HOUR_MS
        for owner in self.server.ask("ZRANGE", LEASES, 0, -1):
            if owner.split(b" ")[1] == worker.encode():
                self.server.ask("ZINCRBY", LEASES, -HOUR_MS, owner)

    def _has_equals(self, entries: Iterable[_Entry]) -> bool:
        """Return whether, if all get one grace, nobody can say which one is taken over first."""
        known = [
            (each.subscription.selector, each.subscription.identity)
            for each in entries
            if each.subscription.identity
        ]
        return len(known) > len({*known})

    async def _state(self, broker: Broker) -> list[object]:
        registry = broker.registry
        state: list[object] = [
            sorted((await registry.subscriptions(selectors)).subscriptions)
            for selectors in (None, ["t"], ["u", "t"], [])
        ]
        for selector in "tu":
            found = await registry.members(selector)
            counts = await registry.members(selector, counts_only=True)
            assert counts[1:3] == found[1:3]
            state.append((sorted(each._replace(data="") for each in found.members), found[1:3]))
        return state


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(steps=st.lists(STEPS, min_size=20, max_size=40))
def test_both_registries_agree(
    server: ValkeyServer, steps: list[Change | Leave | Lapse | str]
) -> None:
    async def act() -> None:
        server.ask("FLUSHALL")
        pair = Pair(server)
        try:
            for step in steps:
                await pair.take(step)
        finally:
            await pair.valkey.close()

    asyncio.run(act())

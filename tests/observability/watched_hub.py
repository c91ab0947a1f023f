"""The service under the rules of deploy/observability with shorter times."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar

import httpx

from support.clients.operator import claiming
from support.clients.publisher import KEY, PATH
from support.servers.bound import Bound
from support.servers.prometheus import FOLDER, Prometheus
from support.servers.service import Answering, wait_for
from support.servers.valkey_server import ValkeyServer

# In place of the rules' times. A window has several scrapes, which come once a second.
FOR, SHORT_WINDOW, LONG_WINDOW = "2s", "5s", "20s"

# An alert is over once its window is, which is longer than the usual patience of a test.
OVER_SECONDS = 120

# They may fire on a machine that is busy with other work.
OF_LOAD = {"LoopIsLate", "DeliveryIsLate", "WorkerIsBusy"}


def short_rules() -> str:
    """Return the rules, with short times."""
    text = (FOLDER / "rules.yml").read_text()
    text = re.sub(r"for: \d+m", f"for: {FOR}", text)
    text = re.sub(r"\[[15]m\]", f"[{SHORT_WINDOW}]", text)
    text = re.sub(r"\[10m\]", f"[{LONG_WINDOW}]", text)
    assert not re.search(r"for: \d+m|\[\d+m\]", text)
    return text


Running = TypeVar("Running", bound=Answering)


class Hub(Generic[Running]):
    """The service on a Valkey, and the Prometheus that watches it."""

    def __init__(self, service: Running, valkey: ValkeyServer, prometheus: Prometheus) -> None:
        self.service = service
        self.valkey = valkey
        self._prometheus = prometheus

    def until_firing(self, *alerts: str) -> None:
        """Wait until each of these fires, or has fired meanwhile."""
        fired: set[str] = set()

        def has_each() -> bool:
            fired.update(self._prometheus.firing())
            return fired.issuperset(alerts)

        wait_for(f"{alerts} to fire", has_each)

    def until_over(self, *alerts: str) -> None:
        """Wait until none of these fires."""
        over = partial(self._are_over, alerts)
        wait_for(f"the end of {alerts}", over, OVER_SECONDS)

    def until_calm(self, but_for: Collection[str]) -> None:
        """Wait until a rate of the service is known, and nothing fires but what may."""
        known = "rate(barestream_worker_cpu_seconds_total[5s])"
        wait_for("the first rate", lambda: self.has(known))
        ignored = OF_LOAD | {*but_for}
        wait_for("calm", lambda: self._prometheus.firing() <= ignored, OVER_SECONDS)

    def has(self, expression: str) -> bool:
        """Return whether Prometheus has a value for an expression."""
        return bool(self._prometheus.query(expression))

    def _are_over(self, alerts: tuple[str, ...]) -> bool:
        return not {*alerts} & self._prometheus.firing()

    async def wait(self, waiting: Callable[..., None], *alerts: str) -> None:
        """Wait beside what the loop does."""
        await asyncio.to_thread(waiting, *alerts)

    def publish(self, topic: str = "news", **fields: str) -> int:
        """Publish an update, and return the status of the answer."""
        return publish(self.service, topic, **fields)


def publish(service: Answering, topic: str = "news", **fields: str) -> int:
    """Publish an update, and return the status of the answer."""
    return _answer(service, topic, fields).status_code


def published(service: Answering) -> str:
    """Publish an update, and return its id."""
    return _answer(service, "news", {}).raise_for_status().text


def _answer(service: Answering, topic: str, fields: dict[str, str]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {claiming()}"}
    data = {"topic": topic, "data": "x", **fields}
    return httpx.post(service.url + PATH, data=data, headers=headers)


def instance(valkey: ValkeyServer, **settings: Any) -> Bound:
    """Return an instance of the service on this Valkey, with two workers by default."""
    usual: dict[str, Any] = {"workers": 2, "token_key": KEY}
    usual |= {"broker_url": valkey.url, "broker_password": valkey.password}
    return Bound(**{**usual, **settings})


@contextmanager
def watched(but_for: Collection[str] = (), **settings: Any) -> Iterator[Hub[Bound]]:
    """Run the service once nothing fires.

    Args:
        but_for: The alerts that may fire nevertheless.
        settings: Those of the service, as Bound has them.
    """
    with ExitStack() as stack:
        valkey = stack.enter_context(ValkeyServer())
        service = stack.enter_context(instance(valkey, **settings))
        yield stack.enter_context(watching(service, valkey, but_for))


@contextmanager
def watching(
    service: Running, valkey: ValkeyServer, but_for: Collection[str] = ()
) -> Iterator[Hub[Running]]:
    """Watch a service that runs, once nothing fires but what may."""
    with Prometheus([f"127.0.0.1:{service.port}"], short_rules()) as prometheus:
        hub = Hub(service, valkey, prometheus)
        hub.until_calm(but_for)
        yield hub


@contextmanager
def again_and_again(act: Callable[[], object], pause_seconds: float = 0.1) -> Iterator[None]:
    """Act in a thread of its own while the context lasts; failures of HTTP are fine."""
    ending = threading.Event()

    def run() -> None:
        while not ending.wait(pause_seconds):
            with suppress(httpx.TransportError):
                act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def act(steps: Callable[[AsyncExitStack], Awaitable[None]]) -> None:
    """Run steps that open streams; these close at the end."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            await steps(stack)

    asyncio.run(run())

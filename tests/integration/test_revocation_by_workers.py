"""Revocations where workers share a Valkey: through nginx, on each of them, over restarts."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from support.clients.operator import Operator, bearing, claiming
from support.clients.publisher import KEY, PATH, Publisher
from support.clients.sse_client import SseClient
from support.servers.served import until
from support.servers.service import Service, is_alive, wait_for
from support.servers.valkey_server import ValkeyServer

STREAMS_PER_USER, USERS = 10, 5

# What the hub promises (docs/guarantees.md).
ENDS_WITHIN_SECONDS = 1.0


@pytest.fixture(scope="module")
def service(valkey: ValkeyServer) -> Iterator[Service]:
    with Service(
        workers=2,
        token_key=KEY,
        broker_url=valkey.url,
        broker_password=valkey.password,
        retry_ms=100,
        drain_seconds=0,
    ) as running:
        yield running


@pytest.fixture
def operator(service: Service) -> Iterator[Operator]:
    found = Operator(service.url)
    yield found
    for each in found.revocations()["revocations"]:
        found.take_back(each["id"])
    found.close()


@dataclass
class Tab:
    """A browser's tab: it comes back as an EventSource does, and closes for good at an error."""

    target: tuple[str, int] | Path
    token: str
    connects: int = 0
    closed: int = 0
    ended_at: float = 0.0
    data: list[str] = field(default_factory=list)
    client: SseClient | None = None

    async def run(self) -> None:
        while not self.closed:
            self.client = client = SseClient(self.target, f"{PATH}?topic=t", bearing(self.token))
            client.on_event = lambda event: self.data.append(event.data)
            await client.run()
            self.ended_at = self.ended_at or time.monotonic()
            self.connects += 1
            if client.status != 200:
                self.closed = client.status
            await asyncio.sleep(0.05)

    @property
    def is_open(self) -> bool:
        """Whether its stream is open."""
        client = self.client
        return client is not None and client.status == 200 and client.clean is None


def publish_statuses(service: Service, token: str) -> list[int]:
    """Return the status of a publish on each worker."""
    found = []
    for path in service.current_sockets:
        with inside(path) as worker:
            answer = worker.post(PATH, data={"topic": "t"}, headers=bearing(token))
        found.append(answer.status_code)
    return found


def inside(path: Path) -> httpx.Client:
    """Return a client of the worker with this socket."""
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://inside")


def test_only_the_streams_of_a_revoked_user_end_on_every_worker_and_none_returns(
    service: Service, operator: Operator
) -> None:
    now = int(time.time())
    tokens = [claiming(sub=f"user {user}", iat=now - 60) for user in range(USERS)]
    # Some at each worker itself, so that both have streams of the user.
    targets = [*service.current_sockets, *[service.address] * (STREAMS_PER_USER - 2)]
    tabs = [Tab(target, token) for token in tokens for target in targets]
    theirs, others = tabs[:STREAMS_PER_USER], tabs[STREAMS_PER_USER:]

    async def scenario() -> None:
        running = [asyncio.create_task(tab.run()) for tab in tabs]
        await until(lambda: all(tab.is_open for tab in tabs))
        await asyncio.to_thread(operator.revoke, sub="user 0")
        revoked_at = time.monotonic()
        await until(lambda: all(tab.closed for tab in theirs))
        assert max(tab.ended_at for tab in theirs) - revoked_at < ENDS_WITHIN_SECONDS
        # The first stream ended, and the tab came back once.
        assert {(tab.closed, tab.connects) for tab in theirs} == {(401, 2)}
        # A new login works, and nobody else noticed anything.
        again = Tab(service.address, claiming(sub="user 0", iat=int(time.time()) + 1))
        running.append(asyncio.create_task(again.run()))
        await until(lambda: again.is_open)
        async with Publisher(service.url) as publisher:
            await publisher.publish("t", data="later")
        await until(lambda: all("later" in tab.data for tab in (*others, again)))
        assert {(tab.connects, tab.is_open) for tab in others} == {(0, True)}
        assert not [tab for tab in theirs if "later" in tab.data]
        for task in running:
            task.cancel()
        await asyncio.wait(running)

    asyncio.run(scenario())
    ends = [end for end in service.ended_streams() if end["reason"] == "token revoked"]
    assert len(ends) == STREAMS_PER_USER
    assert len({end["pid"] for end in ends}) == 2
    wait_for(
        "the refusal of a publish on every worker",
        lambda: publish_statuses(service, tokens[0]) == [401, 401],
        ENDS_WITHIN_SECONDS,
    )
    assert publish_statuses(service, tokens[1]) == [200, 200]
    assert service.complaints() == []


def test_revocations_outlive_the_app(service: Service, operator: Operator) -> None:
    revoked, other = claiming(jti="kept"), claiming(jti="other")
    operator.revoke(jti="kept")
    service.end_app()
    service.start_app()
    # From the first request on, there is none that a new worker lets in.
    assert publish_statuses(service, revoked) == [401, 401]
    assert publish_statuses(service, other) == [200, 200]
    with httpx.Client(base_url=service.url) as http:
        assert http.get(f"{PATH}?topic=t", headers=bearing(revoked)).status_code == 401


def test_a_worker_that_starts_while_valkey_is_away_lets_no_token_in(
    service: Service, operator: Operator, valkey: ValkeyServer
) -> None:
    revoked, other = claiming(jti="away"), claiming(jti="other")
    operator.revoke(jti="away")
    wait_for("both workers", lambda: publish_statuses(service, revoked) == [401, 401])
    killed, kept = service.workers()
    valkey.kill()
    os.kill(killed, signal.SIGKILL)
    wait_for("another worker", lambda: len({*service.workers()} - {killed}) == 2)
    answers = wait_for("an answer of each", lambda: stream_answers(service, revoked))
    # The new one tells its clients to come back, and the old one knows what it knew.
    assert sorted(answers) == [(200, "worker unready"), (401, "")]
    assert sorted(publish_statuses(service, revoked)) == [401, 503]
    assert sorted(publish_statuses(service, other)) == [503, 503]
    assert is_alive(kept)
    valkey.start()
    wait_for("both workers", lambda: publish_statuses(service, other) == [200, 200])
    assert publish_statuses(service, revoked) == [401, 401]


def stream_answers(service: Service, token: str) -> list[tuple[int, str]]:
    """Return the status of a stream on each worker, and why it ends at once."""
    found = []
    for path in service.current_sockets:
        try:
            with (
                inside(path) as worker,
                worker.stream("GET", f"{PATH}?topic=t", headers=bearing(token)) as answer,
            ):
                why = answer.headers.get("barestream-turned-away", "")
                found.append((answer.status_code, why))
        except httpx.TransportError:
            return []
    return found

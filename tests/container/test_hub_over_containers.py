"""The hub on a real Valkey: every worker of every container, and Valkey's absence."""

import asyncio
import inspect
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from compose import Stack
from support.clients import event_parser
from support.clients.publisher import ISSUER, KEY, PATH, RESOURCE, Publisher, access_token, token
from support.clients.sse_client import SseClient
from support.servers.docker_cli import docker
from support.servers.served import reading, until
from support.servers.service import ROOT, wait_for

FOLDER = Path(__file__).parent
TOPIC = f"{PATH}?topic=news"
ISSUERS_KEY = "the key of an issuer, as long as HS256 asks for"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the project with publishing on, with an issuer, and a second app container."""
    issuers = tmp_path_factory.mktemp("issuers") / "issuers.toml"
    issuers.write_text(f'[[issuer]]\nid = "{ISSUER}"\nalgorithm = "HS256"\nkey = "{ISSUERS_KEY}"\n')
    with Stack(
        FOLDER / "second_app.yml", token_key=KEY, issuers=issuers, resource_identifier=RESOURCE
    ) as running:
        yield running


def test_the_tokens_of_an_issuer_in_the_mounted_file_are_accepted(hub: Stack) -> None:
    bearer = access_token("*", key=ISSUERS_KEY)

    async def act() -> list[str]:
        headers = {"Authorization": f"Bearer {bearer}"}
        client = SseClient(hub.address, f"{PATH}?match_urlpattern=/rooms/:id", headers)
        async with reading(client), Publisher(hub.url, bearer) as publisher:
            assert client.status == 200
            await publisher.publish("/rooms/1", data="secret", private="on")
            await until(lambda: client.events)
        return [event.data for event in client.events]

    assert asyncio.run(act()) == ["secret"]


async def publish(url: str, numbers: range, **fields: str) -> list[str]:
    async with Publisher(url) as publisher:
        return [await publisher.publish("news", data=str(number), **fields) for number in numbers]


def test_an_event_reaches_every_worker_of_every_container_in_one_order(hub: Stack) -> None:
    # The container has no package of tests.
    lines = (FOLDER / "print_ids.py").read_text().splitlines(keepends=True)
    program = "".join(
        [inspect.getsource(event_parser), *(line for line in lines if "event_parser" not in line)]
    )
    # From a known place on, so that nothing depends on when each one is there.
    [start] = asyncio.run(publish(hub.url, range(1)))
    target = f"{TOPIC}&lastEventID=%23{start.removeprefix('#')}"

    def follow(service: str, instance: str) -> list[list[str]]:
        done = hub.exec(service, "python", "-c", program, instance, "200", target)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    async def race() -> list[str]:
        parts = await asyncio.gather(
            *(publish(hub.url, range(first, first + 50)) for first in (1, 51, 101, 151))
        )
        return [event_id for part in parts for event_id in part]

    with ThreadPoolExecutor() as threads:
        first = threads.submit(follow, "app", "main")
        second = threads.submit(follow, "second", "second")
        published = asyncio.run(race())
        sequences = [*first.result(), *second.result()]
    assert len(sequences) == 4
    assert all(sequence == sequences[0] for sequence in sequences)
    assert sorted(sequences[0]) == sorted(published)


def test_the_metrics_of_the_workers_are_served_inside_and_not_through_the_port(hub: Stack) -> None:
    asyncio.run(publish(hub.url, range(3)))
    done = hub.exec("nginx", "curl", "-fsS", "http://127.0.0.1:9180/metrics")
    figures = dict(
        line.rsplit(" ", 1) for line in done.stdout.splitlines() if not line.startswith("#")
    )
    assert float(figures["barestream_updates_published_total"]) >= 3
    assert float(figures["barestream_history_up"]) == 1
    # The default of BARESTREAM_APP_MEMORY.
    assert float(figures["barestream_memory_limit_bytes"]) == 2**30
    assert httpx.get(f"{hub.url}/metrics").status_code == 404
    assert httpx.get(f"{hub.url}//metrics").status_code == 404
    assert httpx.get(f"{hub.url}/%6detrics").status_code == 404


def test_valkey_is_durable_and_refuses_clients_without_the_password(hub: Stack) -> None:
    refused = hub.exec("valkey", "valkey-cli", "GET", "x")
    assert "NOAUTH" in refused.stdout + refused.stderr
    told = hub.exec("valkey", "valkey-start", "cli", "CONFIG", "GET", "append*").stdout.split()
    assert told[told.index("appendfsync") + 1] == "always"
    assert told[told.index("appendonly") + 1] == "yes"
    mode = hub.exec("valkey", "stat", "-c", "%a %u:%g", "/run/barestream-engine/password").stdout
    assert mode.strip() == "640 999:10001"


@pytest.mark.parametrize("user", ["default", "barestream"])
def test_the_users_whose_password_the_app_has_can_do_only_what_the_service_needs(
    hub: Stack, user: str
) -> None:
    rules = (ROOT / "deploy/valkey-service.acl").read_text().splitlines()
    allowed = {rule for rule in rules if rule.startswith(("+", "~"))}
    told = hub.exec("valkey", "valkey-start", "cli", "ACL", "GETUSER", user).stdout.splitlines()
    keys, channels = (told[told.index(name) + 1] for name in ("keys", "channels"))
    commands = told[told.index("commands") + 1].split()
    assert ({*commands, keys} - {"-@all"}, channels) == (allowed, "")
    ask = f"REDISCLI_AUTH=$(cat /run/barestream-engine/password) valkey-cli --user {user} {{}}"
    assert "NOPERM" in hub.exec("valkey", "sh", "-c", ask.format("CONFIG GET dir")).stdout
    assert "NOPERM" in hub.exec("valkey", "sh", "-c", ask.format("GET other")).stdout
    length = hub.exec("valkey", "sh", "-c", ask.format("XLEN '{barestream}:log'")).stdout
    assert length.strip().isdigit()


def test_the_app_cannot_read_the_password_of_valkeys_operator(hub: Stack) -> None:
    path = "/run/barestream-engine/operator-password"
    mode = hub.exec("valkey", "stat", "-c", "%a %u:%g", path).stdout
    assert mode.strip() == "600 999:10001"
    read = hub.exec("app", "cat", path)
    assert (read.stdout, "Permission denied" in read.stderr) == ("", True)
    moved = hub.exec("app", "mv", "/run/barestream-engine/password", path)
    assert "Read-only file system" in moved.stderr


def test_without_valkey_streams_stay_open_publishes_are_refused_and_nothing_is_lost(
    fresh_hub: Stack,
) -> None:
    url, address = fresh_hub.url, fresh_hub.address

    async def main() -> SseClient:
        client = SseClient(address, f"{TOPIC}&heartbeat=event")
        watching = asyncio.create_task(client.run())
        await client.opened.wait()
        before = await publish(url, range(10))
        await asyncio.to_thread(fresh_hub.kill, "valkey", "SIGKILL")
        async with Publisher(url) as publisher:
            started = time.monotonic()
            refused = await publisher.post("news", data="never")
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            assert refused.headers["content-type"] == "application/problem+json"
            assert time.monotonic() - started < 6
            assert not (await publisher.post("news", data="never")).is_success
        reading = await asyncio.to_thread(httpx.get, f"{url}/readyz")
        assert reading.status_code == 503
        beats = len(client.events)
        await asyncio.to_thread(
            wait_for, "a heartbeat without Valkey", lambda: len(client.events) > beats
        )
        assert client.clean is None
        await asyncio.to_thread(fresh_hub.start, "valkey")
        await asyncio.to_thread(
            wait_for, "ready", lambda: httpx.get(f"{url}/readyz").status_code == 200, 30
        )
        after = await publish(url, range(10, 20))
        await asyncio.to_thread(
            wait_for, "the last event", lambda: client.events and client.events[-1].id == after[-1]
        )
        got = [event.id for event in client.events if event.type == "message"]
        assert got == before + after
        watching.cancel()
        return client

    asyncio.run(main())


def test_an_app_started_without_valkey_is_unready_until_valkey_is_there(
    fresh_hub: Stack,
) -> None:
    fresh_hub.stop("valkey")
    fresh_hub.stop("app")
    # Compose would start what it depends on.
    docker("start", fresh_hub.inspect("app")["Id"])
    wait_for("an answer", lambda: httpx.get(f"{fresh_hub.url}/healthz").status_code == 200, 30)
    assert httpx.get(f"{fresh_hub.url}/readyz").status_code == 503
    stream = httpx.get(f"{fresh_hub.url}{TOPIC}")
    assert stream.status_code == 200
    assert stream.text.startswith("retry: ")
    fresh_hub.start("valkey")
    wait_for("ready", lambda: httpx.get(f"{fresh_hub.url}/readyz").status_code == 200, 30)
    assert asyncio.run(publish(fresh_hub.url, range(1)))


@pytest.fixture(scope="module")
def fresh_hub() -> Iterator[Stack]:
    """Return the project with publishing on, for tests that take its Valkey away."""
    with Stack(token_key=KEY, heartbeat_seconds=1) as running:
        yield running


def test_a_private_event_of_one_container_is_private_in_every_container(hub: Stack) -> None:
    async def main() -> None:
        headers = {"Authorization": f"Bearer {token(subscribe=('news',))}"}
        clients = [SseClient(hub.address, TOPIC), SseClient(hub.address, TOPIC, headers)]
        runs = [asyncio.create_task(client.run()) for client in clients]
        await asyncio.gather(*(client.opened.wait() for client in clients))
        await publish(hub.url, range(1), private="on")
        await publish(hub.url, range(1, 2))
        await asyncio.to_thread(
            wait_for,
            "the public event",
            lambda: all(client.events and client.events[-1].data == "1" for client in clients),
        )
        assert [[event.data for event in client.events] for client in clients] == [
            ["1"],
            ["0", "1"],
        ]
        for run in runs:
            run.cancel()

    asyncio.run(main())

"""Presence of two workers behind nginx, with Valkey, over what ends streams."""

import asyncio
import os
import signal
from urllib.parse import urlencode

from people import ROOM, Headers, Watcher, of_0, stream, until_counts
from support.clients.publisher import KEY, PATH
from support.clients.sse_client import ReconnectingClient, SseClient
from support.servers.served import until
from support.servers.service import Service, is_alive, wait_for
from support.servers.valkey_server import ValkeyServer

MANAGER = of_0("manager", "*")
USERS = 20
NAMES = {f"user {number}" for number in range(USERS)}


def serve(valkey: ValkeyServer, grace_seconds: float) -> Service:
    valkey.ask("FLUSHALL")
    return Service(
        workers=2,
        broker_url=valkey.url,
        broker_password=valkey.password,
        token_key=KEY,
        subscriptions="true",
        presence_grace_seconds=grace_seconds,
        retry_ms=100,
        drain_seconds=0,
    )


def returning(service: Service, user: Headers, topic: str = ROOM) -> ReconnectingClient:
    """Return a client that comes back as a browser does, with the token in its query."""
    token = user["Authorization"].removeprefix("Bearer ")
    query = urlencode({"topic": topic, "authorization": token})
    return ReconnectingClient(service.address, f"{PATH}?{query}")


def test_nobody_leaves_in_a_reload_or_a_restart_of_valkey(valkey: ValkeyServer) -> None:
    async def main(service: Service) -> None:
        watched = Watcher(service.url, service.address, MANAGER)
        watching = returning(service, MANAGER, watched.events)
        clients = [returning(service, of_0(name)) for name in sorted(NAMES)]
        running = [asyncio.create_task(each.run(None)) for each in (watching, *clients)]
        await until_counts(watched, USERS, USERS)
        old = service.workers()
        service.signal(signal.SIGHUP)
        await until(lambda: not any(map(is_alive, old)))
        await until(lambda: all(each.connects > 1 for each in clients))
        await until_counts(watched, USERS, USERS)
        valkey.kill()
        valkey.start()
        running.append(asyncio.create_task(returning(service, of_0("a new one")).run(None)))
        await until(lambda: any('"a new one"' in event.data for event in watching.events))
        await until_counts(watched, USERS + 1, USERS + 1)
        assert {event.type for event in watching.events} == {"barestream.joined"}
        assert len(watching.events) == USERS + 1
        for task in running:
            task.cancel()
        await asyncio.wait(running)

    with serve(valkey, 60) as service:
        asyncio.run(main(service))


def test_the_streams_of_a_worker_that_was_killed_are_told_as_ended(valkey: ValkeyServer) -> None:
    async def main(service: Service) -> None:
        watched = Watcher(service.url, service.address, MANAGER)
        clients = {name: stream(service.address, of_0(name)) for name in NAMES}
        running = [asyncio.create_task(each.run()) for each in clients.values()]
        await until_counts(watched, USERS, USERS)
        os.kill(service.workers()[0], signal.SIGKILL)
        await until(lambda: 0 < len(over(clients)) == USERS - open_streams(service))
        lost = over(clients)
        async with watched.watching():
            assert lost < NAMES
            back = set(sorted(lost)[::2])
            returned = [stream(service.address, of_0(name)) for name in back]
            running.extend(asyncio.create_task(each.run()) for each in returned)
            rest = NAMES - lost | back
            await until_counts(watched, len(rest), len(rest))
            await until(lambda: watched.members == rest)
            assert sorted(watched.told) == sorted(("left", name) for name in lost - back)
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        went = "a worker's subscriptions went away: it did not renew its lease"
        wait_for("the line", lambda: went in {each["message"] for each in service.app_log()})

    with serve(valkey, 0.5) as service:
        asyncio.run(main(service))


def over(clients: dict[str, SseClient]) -> set[str]:
    """Return who has lost the stream."""
    return {name for name, each in clients.items() if each.clean is not None}


def open_streams(service: Service) -> float:
    """Return how many streams the workers have that live."""
    return service.metrics()["barestream_streams"]

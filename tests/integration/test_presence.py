"""Presence of one worker: the list, its events, and who may read them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from hub_in_use import Hub, Pairs, Serving
from people import (
    OCCUPANCY_OF_ROOM,
    PRESENCE_OF_ROOM,
    ROOM,
    Headers,
    Watcher,
    encoded,
    of_0,
    of_1,
    present,
    stream,
    until_counts,
)
from support.clients.publisher import ISSUER, PATH
from support.clients.sse_client import SseClient
from support.servers.served import reading, until

# Where the history is matters; the parts of another server are those of other streams.
everywhere = pytest.mark.parametrize("serving", ["direct", "valkey"], indirect=True)
anywhere = pytest.mark.parametrize("serving", ["direct"], indirect=True)

MANAGER = of_0("manager", "*")

# Long enough for a client to come back on a busy machine, where a test says that it does.
LONG_SECONDS = 30
SHORT_SECONDS = 0.2


def watcher(hub: Hub) -> Watcher:
    return Watcher(hub.url, hub.served.address, MANAGER)


def in_presence(
    serving: Serving,
    act: Callable[[Hub, Watcher], Awaitable[None]],
    grace_seconds: float = SHORT_SECONDS,
    **settings: Any,
) -> None:
    """Do something with a hub that has presence."""
    given = {"subscriptions": True, "presence_grace_seconds": grace_seconds, **settings}
    with serving(**given) as hub:
        asyncio.run(act(hub, watcher(hub)))


@everywhere
def test_the_list_and_the_events_after_its_cursor_miss_nobody(serving: Serving) -> None:
    async def act(hub: Hub, watched: Watcher) -> None:
        users = [of_0(f"user {number}", payload={"n": number}) for number in range(40)]
        clients = [stream(hub.served.address, user) for user in users]
        running = []
        watchers = []
        # A new watcher comes while each group of streams opens, and one while they leave.
        async with asyncio.TaskGroup() as group:
            for number, client in enumerate(clients):
                running.append(asyncio.create_task(client.run()))
                if number % 10 == 5:
                    watching = Watcher(hub.url, hub.served.address, MANAGER)
                    watchers.append((watching, watching.watching()))
                    group.create_task(watchers[-1][1].__aenter__())
                await asyncio.sleep(0.01)
        await until(lambda: all(len(each.members) == 40 for each, _ in watchers))
        for task in running[:25]:
            task.cancel()
        last = watched.watching()
        await last.__aenter__()
        watchers.append((watched, last))
        await until(lambda: all(len(each.members) == 15 for each, _ in watchers))
        listed = await watched.ask()
        assert {member["id"] for member in listed["members"]} == watched.members
        assert (listed["member_count"], listed["subscription_count"]) == (15, 15)
        assert [each["payload"] for each in listed["members"] if each["id"] == "user 39"] == [
            {"n": 39}
        ]
        for each, context in watchers:
            # Nobody is told twice.
            assert len(each.told) == len(set(each.told))
            await context.__aexit__(None, None, None)
        for task in running[25:]:
            task.cancel()
        await asyncio.wait(running)

    in_presence(serving, act)


@everywhere
def test_a_user_has_left_when_the_last_of_three_streams_has_ended(serving: Serving) -> None:
    async def act(hub: Hub, watched: Watcher) -> None:
        async with watched.watching():
            clients = [stream(hub.served.address, of_0("alice")) for _ in range(3)]
            async with present(hub.served.address, of_0("bob")):
                tasks = []
                for count, client in enumerate(clients, 1):
                    tasks.append(asyncio.create_task(client.run()))
                    await until_counts(watched, 2, count + 1)
                [alice] = [
                    each for each in (await watched.ask())["members"] if each["id"] == "alice"
                ]
                assert alice["subscriptions"] == 3
                for count, task in zip((3, 2, 1), tasks, strict=True):
                    task.cancel()
                    await until_counts(watched, 1 if count == 1 else 2, count)
                await until(lambda: ("left", "alice") in watched.told)
            await until(lambda: not watched.members)
        assert sorted(watched.told) == [
            *(("joined", name) for name in ("alice", "bob")),
            *(("left", name) for name in ("alice", "bob")),
        ]

    in_presence(serving, act)


@everywhere
def test_a_page_that_reloads_has_not_left(serving: Serving) -> None:
    async def act(hub: Hub, watched: Watcher) -> None:
        async with watched.watching():
            for _ in range(3):
                async with present(hub.served.address, of_0("alice", payload={"a": 1})):
                    await until_counts(watched, 1, 1)
                    # The token of the page before may have another payload.
                async with present(hub.served.address, of_0("alice", payload={"a": 2})):
                    await until_counts(watched, 1, 1)
            async with present(hub.served.address, of_0("bob")):
                # After these events no other of the streams before can come.
                await until(lambda: "bob" in watched.members)
        assert watched.told == [("joined", "alice"), ("joined", "bob")]

    in_presence(serving, act, LONG_SECONDS)


@everywhere
def test_the_same_user_of_the_other_version_is_the_same_member(serving: Serving) -> None:
    async def act(hub: Hub, watched: Watcher) -> None:
        alice = of_0("alice", iss=ISSUER)
        async with watched.watching(), present(hub.served.address, alice):
            client = SseClient(hub.served.address, f"{PATH}?match={ROOM}", of_1("alice"))
            async with reading(client):
                await until_counts(watched, 1, 2)
                # The list may have her before the watcher's stream has told of her.
                await until(lambda: "alice" in watched.members)
        assert watched.told == [("joined", "alice")]

    in_presence(serving, act, LONG_SECONDS)


@everywhere
def test_who_leaves_by_a_request_has_left_at_once(serving: Serving) -> None:
    async def act(hub: Hub, watched: Watcher) -> None:
        alice, bob = of_0("alice"), of_0("bob")
        one = stream(hub.served.address, alice, client="one")
        two = stream(hub.served.address, alice, client="two")
        async with (
            watched.watching(),
            present(hub.served.address, bob),
            reading(one, two),
            httpx.AsyncClient(base_url=hub.url) as http,
        ):
            await until_counts(watched, 2, 3)
            for form, subscriptions in (({"client": "one"}, 2), ({"topic": ROOM}, 1)):
                sent = await http.post(f"{PATH}/leave", data=form, headers=alice)
                assert (sent.status_code, sent.text) == (204, "")
                listed = await watched.ask(include="counts")
                assert listed["subscription_count"] == subscriptions
            await until(lambda: ("left", "alice") in watched.told)
        assert ("left", "bob") not in watched.told

    in_presence(serving, act, LONG_SECONDS)


@everywhere
def test_who_asks_for_it_is_waited_for_longer(serving: Serving) -> None:
    async def act(hub: Hub, watched: Watcher) -> None:
        async with watched.watching(), httpx.AsyncClient(base_url=hub.url) as http:
            async with present(hub.served.address, of_0("alice"), of_0("bob")):
                await until_counts(watched, 2, 2)
                # As sendBeacon sends it.
                sent = await http.post(
                    f"{PATH}/leave",
                    content="after_seconds=60",
                    headers={**of_0("alice"), "Content-Type": "text/plain;charset=UTF-8"},
                )
                assert sent.status_code == 204
            await until(lambda: ("left", "bob") in watched.told)
        assert watched.members == {"alice"}

    in_presence(serving, act)


@anywhere
def test_who_has_no_name_is_not_waited_for_longer(serving: Serving) -> None:
    async def act(hub: Hub, watched: Watcher) -> None:
        client = stream(hub.served.address, {}, client="page")
        async with httpx.AsyncClient(base_url=hub.url) as http:
            async with reading(client):
                await until_counts(watched, 0, 1)
                form = {"client": "page", "after_seconds": "3600"}
                assert (await http.post(f"{PATH}/leave", data=form)).status_code == 204
            await until_counts(watched, 0, 0)

    in_presence(serving, act)


@anywhere
def test_who_has_no_name_is_counted_and_is_no_member(serving: Serving) -> None:
    async def act(hub: Hub, watched: Watcher) -> None:
        occupancy = stream(hub.served.address, MANAGER, [OCCUPANCY_OF_ROOM])
        async with reading(occupancy), watched.watching():
            async with present(hub.served.address, {}, {}):
                await until_counts(watched, 0, 2)
            await until(lambda: len(occupancy.events) == 2)
        assert watched.told == []
        assert [event.type for event in occupancy.events] == [
            "barestream.occupied",
            "barestream.vacated",
        ]
        assert json.loads(occupancy.events[0].data) == {"topic": ROOM}

    in_presence(serving, act)


# What a user's stream asks for, its token, and the types of the events that it is sent of alice.
EVERYTHING = {"message", "mercure", "joined", "left", "occupied", "vacated"}
OWN_SUBSCRIPTIONS = f"{PATH}/subscriptions/{{topic}}/{{subscriber}}"
PATTERN = f"{PATH}/subscriptions/:match_type/:match/:subscriber"
MATRIX: dict[str, tuple[Pairs, Headers, set[str]]] = {
    "the plain topic, no token": ([("topic", ROOM)], {}, set()),
    "everything, no token": ([("topic", "*")], {}, set()),
    "everything, the plain topic's right": ([("topic", "*")], of_0("x", ROOM), set()),
    "everything, no right": ([("topic", "*")], of_0("x"), set()),
    "everything in 1.0, the plain topic's right": ([("match", "*")], of_1("x", ROOM), set()),
    "the plain topic, every right": ([("topic", ROOM)], of_0("x", "*"), set()),
    "presence, the plain topic's right": ([("topic", PRESENCE_OF_ROOM)], of_0("x", ROOM), set()),
    "presence, the right of another room": (
        [("topic", PRESENCE_OF_ROOM)],
        of_0("x", f"{PATH}/presence/{encoded('/rooms/2')}"),
        set(),
    ),
    "subscriptions, the right to presence": (
        [("topic", OWN_SUBSCRIPTIONS)],
        of_0("x", PRESENCE_OF_ROOM),
        set(),
    ),
    "presence, its right": (
        [("topic", PRESENCE_OF_ROOM)],
        of_0("x", PRESENCE_OF_ROOM),
        {"joined", "left"},
    ),
    "everything, the right to presence": (
        [("topic", "*")],
        of_0("x", PRESENCE_OF_ROOM),
        {"joined", "left"},
    ),
    "everything in 1.0, the right to presence": (
        [("match", "*")],
        of_1("x", PRESENCE_OF_ROOM),
        {"joined", "left"},
    ),
    "occupancy, its right": (
        [("topic", OCCUPANCY_OF_ROOM)],
        of_0("x", OCCUPANCY_OF_ROOM),
        {"occupied", "vacated"},
    ),
    "subscriptions of 0.x, their right": (
        [("topic", OWN_SUBSCRIPTIONS)],
        of_0("x", OWN_SUBSCRIPTIONS),
        {"message"},
    ),
    "subscriptions of 1.0, their right": (
        [("match_urlpattern", PATTERN)],
        of_1("x", patterns=[PATTERN]),
        {"mercure"},
    ),
    "everything, every right": ([("topic", "*")], of_0("x", "*"), EVERYTHING),
}


@everywhere
def test_nobody_is_sent_presence_without_the_right(serving: Serving) -> None:
    async def act(hub: Hub, _: Watcher) -> None:
        alice = of_0("alice", payload={"secret": "of alice"})
        address = hub.served.address
        clients = {
            name: SseClient(address, f"{PATH}?{urlencode(pairs)}", headers)
            for name, (pairs, headers, _) in MATRIX.items()
        }
        async with reading(*clients.values()):
            async with present(address, alice):
                await until(lambda: "of alice" in seen(clients["everything, every right"]))
            last = clients["everything, every right"]
            await until(lambda: '"left"' in last_types(last))
            # A public update comes after all of these.
            hub.publish("the end", ROOM, "*x")
            wanting = [
                each for each in clients if not each.startswith(("presence", "occup", "subs"))
            ]
            await until(lambda: all("the end" in seen(clients[each]) for each in wanting))
            for name, (_, _, kinds) in MATRIX.items():
                is_told = "of alice" in seen(clients[name])
                assert is_told is bool(kinds - {"occupied", "vacated"}), name
                own = {event.type.removeprefix("barestream.") for event in clients[name].events}
                assert own - {"message"} <= kinds, name
                assert kinds or seen(clients[name]) in {"", "the end"}, name

    in_presence(serving, act)


def seen(client: SseClient) -> str:
    return "\n".join(event.data for event in client.events)


def last_types(client: SseClient) -> str:
    return " ".join(f'"{event.type.removeprefix("barestream.")}"' for event in client.events)


# A request, a token, and the status of the answer.
QUESTIONS: dict[str, tuple[str, Headers, int]] = {
    "presence without a token": (f"/presence?topic={ROOM}", {}, 401),
    "presence by the topic's right": (f"/presence?topic={ROOM}", of_0("x", ROOM), 403),
    "presence by another room's right": (f"/presence?topic={ROOM}2", of_0("x", ROOM), 403),
    "presence by its right": (f"/presence?topic={ROOM}", of_0("x", PRESENCE_OF_ROOM), 200),
    "presence by its right in 1.0": (f"/presence?topic={ROOM}", of_1("x", PRESENCE_OF_ROOM), 200),
    "counts by its right": (
        f"/presence?topic={ROOM}&include=counts",
        of_0("x", PRESENCE_OF_ROOM),
        200,
    ),
    "counts without it": (f"/presence?topic={ROOM}&include=counts", of_0("x", ROOM), 403),
    "presence with a broken token": (
        f"/presence?topic={ROOM}",
        {"Authorization": "Bearer x.y.z"},
        401,
    ),
    "presence of no topic": ("/presence", MANAGER, 400),
    "presence of two topics": ("/presence?topic=a&topic=b", MANAGER, 400),
    "presence of all topics": ("/presence?topic=*", MANAGER, 400),
    "presence with another include": ("/presence?topic=a&include=all", MANAGER, 400),
    "presence of a long topic": (f"/presence?topic={'a' * 2049}", MANAGER, 400),
    "subscriptions without a token": ("/subscriptions", {}, 401),
    "subscriptions by the right of one": (
        "/subscriptions",
        of_0("x", f"{PATH}/subscriptions/a"),
        403,
    ),
    "subscriptions by presence's right": ("/subscriptions", of_0("x", PRESENCE_OF_ROOM), 403),
    "subscriptions by their right": ("/subscriptions", of_0("x", f"{PATH}/subscriptions"), 200),
}


@anywhere
def test_nobody_reads_a_list_without_the_right(serving: Serving) -> None:
    with serving(subscriptions=True) as hub:
        for name, (path, headers, status) in QUESTIONS.items():
            answer = hub.http.get(f"{PATH}{path}", headers=headers)
            assert answer.status_code == status, (name, answer.text)
            if status != 200:
                assert answer.headers["content-type"] == "application/problem+json", name
                assert "www-authenticate" in answer.headers or status == 400, name


# What is sent to leave, and the status of the answer.
LEAVES: dict[str, tuple[dict[str, Any], int]] = {
    "nobody, without a page": ({"data": {"topic": "a"}}, 400),
    "nobody, of a page": ({"data": {"client": "page-1"}}, 204),
    "a token without a name": ({"data": {"topic": "a"}, "headers": of_0()}, 400),
    "a token without a name, of a page": ({"data": {"client": "p"}, "headers": of_0()}, 204),
    "a token of 1.0": ({"data": {"match": "a"}, "headers": of_1("x")}, 204),
    "a payload": ({"data": {"topic": "a"}, "headers": of_0(payload="x")}, 204),
    "a broken token": ({"data": {"topic": "a"}, "headers": {"Authorization": "Bearer x"}}, 401),
    "a page with an odd name": ({"data": {"client": "a b"}, "headers": of_0("x")}, 400),
    "a negative time": ({"data": {"after_seconds": "-1"}, "headers": of_0("x")}, 400),
    "too long a time": ({"data": {"after_seconds": "3601"}, "headers": of_0("x")}, 400),
    "no number": ({"data": {"after_seconds": "nan"}, "headers": of_0("x")}, 400),
    "topics of both versions": ({"data": {"topic": "a", "match": "a"}, "headers": of_0("x")}, 400),
    "json": ({"json": {}, "headers": of_0("x")}, 415),
    "a cookie of another page": (
        {
            "data": {"topic": "a"},
            "headers": {
                "Cookie": f"mercureAuthorization={of_0('x')['Authorization'][7:]}",
                "Origin": "https://evil.example",
            },
        },
        403,
    ),
}


@anywhere
def test_who_leaves_must_say_who_or_which_page(serving: Serving) -> None:
    with serving(subscriptions=True) as hub:
        for name, (sent, status) in LEAVES.items():
            answer = hub.http.post(f"{PATH}/leave", **sent)
            assert answer.status_code == status, (name, answer.text)


@anywhere
def test_an_odd_name_of_a_page_gets_400_only_with_presence(serving: Serving) -> None:
    with serving(subscriptions=True) as hub:
        assert hub.http.get(f"{PATH}?topic=a&client=a%20b").status_code == 400
        assert hub.http.get(f"{PATH}?topic=a&client=a&client=b").status_code == 400


@anywhere
@pytest.mark.parametrize("path", ["subscriptions", "subscriptions/a/b", "presence", "leave"])
def test_without_presence_its_paths_are_not_there(serving: Serving, path: str) -> None:
    with serving() as hub:
        for method in ("GET", "POST"):
            answer = hub.http.request(method, f"{PATH}/{path}?topic=a", headers=MANAGER)
            assert answer.status_code == 404, answer.text


@anywhere
@pytest.mark.parametrize("path", ["subscriptions/a/b", PRESENCE_OF_ROOM, "leave", "occupancy/a"])
def test_nobody_publishes_to_the_paths_of_the_hub(serving: Serving, path: str) -> None:
    with serving(subscriptions=True) as hub:
        topic = path if path.startswith("/") else f"{PATH}/{path}"
        answer = hub.http.post(PATH, data={"topic": topic}, headers=hub.publishing)
        assert answer.status_code == 400

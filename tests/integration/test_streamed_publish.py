"""A publish whose body goes on: on our server, on another one, and with Valkey."""

import asyncio
import json
import time
from typing import Any

import pytest

from barestream.mercure.tokens import sign
from hub_in_use import READY, Hub, Serving, live
from support.clients.publisher import KEY, token
from support.clients.streamed_publisher import (
    EVENTS,
    PUBLISH_STREAM,
    Answer,
    StreamedPublish,
    line,
    numbered,
    position,
)
from support.servers.served import until

A = [("topic", "a")]


def sent(
    hub: Hub,
    *pieces: bytes,
    pairs: list[tuple[str, str]] = A,
    kind: str = "application/x-ndjson",
    **headers: str,
) -> Answer:
    """Send a body, and return the answer to it."""

    async def act() -> Answer:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        async with StreamedPublish(hub.served.address, pairs, kind, fields) as request:
            for piece in pieces[:-1]:
                await request.send(piece)
            return await request.end(b"".join(pieces[-1:]))

    answer = asyncio.run(act())
    hub.note(answer.body["last_id"] or "")
    return answer


def with_producer(hub: Hub, *pieces: bytes, pairs: list[tuple[str, str]] = A, **of: Any) -> Answer:
    fields = {name.replace("-", "_"): value for name, value in numbered(**of).items()}
    return sent(hub, *pieces, pairs=pairs, **fields)


def token_until(seconds: float) -> str:
    return sign(KEY, "HS256", ("*",), ("*",), time.time() + seconds)


def published(hub: Hub, topic: str = "a") -> list[str]:
    """Return the data of what was published to a topic, also what is private."""
    pairs = [("topic", topic), ("last_event_id", "earliest"), ("limit", "1000")]
    return [event["data"] for event in hub.read(pairs, hub.publishing)["events"]]


def test_each_line_is_published_when_it_comes_and_the_answer_counts_them(hub: Hub) -> None:
    async def act(client: Any) -> Answer:
        async with StreamedPublish(hub.served.address, A) as request:
            for number in range(1, 4):
                await request.send(line(str(number)))
                await until(lambda number=number: len(client.events) == 1 + number)
            assert [event.data for event in client.events if event.type != READY] == list("123")
            answer = await request.end()
            assert answer.body["last_id"] == client.events[-1].id
            return answer

    answer = live(hub, A, act)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert {**answer.body, "last_id": ""} == {
        "accepted": 3,
        "repeated": 0,
        "last_id": "",
        "next": None,
    }


def test_a_line_has_the_fields_of_json_but_topic_and_private(hub: Hub) -> None:
    body = line({"x": [1]}, id="own", type="t", retry=5, keep=60) + b"\n \r\n" + line("end")
    answer = sent(hub, body[:30], body[30:-1], pairs=[*A, ("private", "on"), ("type", "usual")])
    assert (answer.status, answer.body["accepted"]) == (200, 2)
    asked = [*A, ("last_event_id", "earliest")]
    assert hub.read(asked)["events"] == []
    first, second = hub.read(asked, hub.publishing)["events"]
    assert (first["id"], first["type"], first["data"], first["retry"]) == (
        "own",
        "t",
        '{"x":[1]}',
        5,
    )
    assert (second["type"], second["data"]) == ("usual", "end")


def test_after_an_invalid_line_the_ones_before_it_are_accepted_and_the_line_is_named(
    hub: Hub,
) -> None:
    body = b"".join(line(number) for number in range(999)) + b"{]\n" + line("after")
    answer = sent(hub, body)
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["detail"].startswith("line 1000: The JSON cannot be read")
    assert (answer.body["accepted"], answer.body["title"]) == (999, "Bad Request")
    assert published(hub) == [str(number) for number in range(999)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"topic": "b"}', 'Unknown fields: "topic"'),
        (b'{"private": true}', 'Unknown fields: "private"'),
        (b"[]", "Expected an object"),
        (b'{"data": "\xff"}', "not UTF-8"),
        (b'{"type": "barestream.end"}', "reserved"),
        (b'{"id": "#1-1"}', "id starts with #"),
        (b'{"end": 0}', "end: expected true"),
        (b'{"a":1,"a":2}', "more than once"),
    ],
)
def test_what_is_no_line_is_refused_at_once_while_the_body_goes_on(
    hub: Hub, text: bytes, why: str
) -> None:
    async def act() -> Answer:
        async with StreamedPublish(hub.served.address, A) as request:
            await request.send(line(1) + text + b"\n")
            return await request.answer()

    answer = asyncio.run(act())
    assert (answer.status, answer.body["accepted"]) == (400, 1)
    assert answer.body["detail"].startswith("line 2: ")
    assert why in answer.body["detail"]
    assert answer.headers["connection"] == "close"


def test_a_line_that_is_too_long_is_refused_before_its_end(hub: Hub) -> None:
    async def act() -> Answer:
        async with StreamedPublish(hub.served.address, A) as request:
            await request.send(line(1) + b"x" * 1_601_537)
            return await request.answer()

    answer = asyncio.run(act())
    assert (answer.status, answer.body["accepted"]) == (413, 1)
    assert answer.body["detail"] == "line 2: The line is longer than 1601536 bytes."


def test_an_event_stream_is_published_as_its_server_sends_it(hub: Hub) -> None:
    stream = (
        b"\xef\xbb\xbf: welcome\nretry: abc\n\nevent: delta\nid: 7\ndata: one\ndata: two\r\n\r\n"
        b"odd: 1\nretry: 3\ndata:three\n\nevent: nothing\n\ndata: cut off\n"
    )
    pieces = [stream[at : at + 7] for at in range(0, len(stream), 7)]
    answer = sent(hub, *pieces, kind=EVENTS)
    assert (answer.status, answer.body["accepted"]) == (200, 2)
    events = hub.read([*A, ("last_event_id", "earliest")])["events"]
    assert [(event["type"], event["data"]) for event in events] == [
        ("delta", "one\ntwo"),
        ("message", "three"),
    ]
    assert events[0]["id"] == "7"
    assert "retry" not in events[1]


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (b"event: mercure", "type is mercure"),
        (b"event: barestream.x", "type starts with barestream."),
        (b"id: #1", "id starts with #"),
        (b"id: \xc3\xa9", "id: expected"),
    ],
)
def test_an_event_that_the_hub_cannot_take_is_named_by_its_number_and_line(
    hub: Hub, field: bytes, why: str
) -> None:
    answer = sent(hub, b"data: 1\n\n: x\n\n" + field + b"\ndata: 2\n\n", kind=EVENTS)
    assert (answer.status, answer.body["accepted"]) == (400, 1)
    assert answer.body["detail"].startswith(f"event 2, line 5: {why}")


def test_with_end_the_topic_ends_after_the_body(hub: Hub) -> None:
    answer = sent(hub, line(1), pairs=[*A, ("end", "true"), ("private", "")])
    assert (answer.status, answer.body["accepted"]) == (200, 2)
    read = hub.read([*A, ("last_event_id", "earliest")], hub.publishing)
    assert read["ended"]
    last = read["events"][-1]
    assert (last["type"], json.loads(last["data"])) == ("barestream.end", {"status": "done"})
    again = sent(hub, line(2))
    assert (again.status, again.body["accepted"]) == (409, 0)
    assert again.body["detail"].startswith("line 1: The topic has ended.")


def test_a_line_may_end_the_topic_and_the_line_after_it_is_refused(hub: Hub) -> None:
    answer = sent(hub, line(1) + line(2, end=True) + line(3), pairs=[*A, ("end", "true")])
    assert (answer.status, answer.body["accepted"]) == (409, 2)
    assert answer.body["detail"].startswith("line 3: The topic has ended.")
    answer = sent(hub, line(1) + line(2, end=True), pairs=[("topic", "b"), ("end", "true")])
    assert (answer.status, answer.body["accepted"]) == (200, 2)


def test_a_body_that_is_cut_ends_nothing(hub: Hub) -> None:
    async def act(client: Any) -> None:
        async with StreamedPublish(hub.served.address, [*A, ("end", "true")]) as request:
            await request.send(line("whole") + b'{"data": "ha')
            await until(lambda: len(client.events) == 2)
            request.cut()

    live(hub, A, act)
    sent(hub, line("next"))
    assert published(hub) == ["whole", "next"]


def test_a_repeat_is_skipped_and_a_hole_and_an_old_epoch_are_refused(hub: Hub) -> None:
    first = with_producer(hub, line(0) + line(1), producer="p", first=0)
    assert first.status == 200
    assert (first.headers["producer-epoch"], first.headers["producer-seq"]) == ("0", "1")
    again = with_producer(hub, line(0) + line(1) + line(2), producer="p", first=0)
    assert {**again.body, "last_id": ""} == {
        "accepted": 1,
        "repeated": 2,
        "last_id": "",
        "next": 3,
    }
    only_repeats = with_producer(hub, line(1) + line(2), producer="p", first=1)
    assert only_repeats.body == {**again.body, "accepted": 0, "repeated": 2}
    hole = with_producer(hub, line(5), producer="p", first=5)
    assert (hole.status, hole.body["next"]) == (409, 3)
    assert hole.headers["producer-expected-seq"] == "3"
    assert hole.headers["producer-received-seq"] == "5"
    early = with_producer(hub, line(0), producer="p", first=1, epoch=1)
    assert (early.status, early.body["detail"]) == (
        400,
        "Producer-Seq: a new epoch begins with 0.",
    )
    assert with_producer(hub, line("b"), producer="p", first=0, epoch=1).status == 200
    stale = with_producer(hub, line(3), producer="p", first=3)
    assert (stale.status, stale.headers["producer-epoch"]) == (403, "1")
    assert published(hub) == ["0", "1", "2", "b"]


def test_a_producer_whose_last_answer_was_lost_gets_it_again_after_the_end(hub: Hub) -> None:
    pairs = [*A, ("end", "true")]
    first = with_producer(hub, line(0), pairs=pairs, producer="p", first=0)
    assert (first.status, first.body["next"]) == (200, 2)
    again = with_producer(hub, line(0), pairs=pairs, producer="p", first=0)
    assert again.status == 200
    assert again.body == {**first.body, "accepted": 0, "repeated": 2}


def test_an_epoch_that_another_takes_meanwhile_ends_the_request_at_its_next_line(hub: Hub) -> None:
    async def act() -> Answer:
        address = hub.served.address
        async with StreamedPublish(address, A, headers=numbered("p", 0)) as old:
            await old.send(line("old"))
            await until(lambda: published(hub) == ["old"])
            async with StreamedPublish(address, A, headers=numbered("p", 0, epoch=1)) as new:
                await new.send(line("new"))
                hub.note((await new.end()).body["last_id"])
            await old.send(line("late"))
            return await old.answer()

    answer = asyncio.run(act())
    assert (answer.status, answer.body["accepted"]) == (403, 1)
    assert published(hub) == ["old", "new"]


def test_a_position_is_told_to_those_who_may_publish_there(hub: Hub) -> None:
    async def ask(topic: str, producer: str) -> Answer:
        return await position(hub.served.address, topic, producer)

    assert asyncio.run(ask("a", "p")).status == 404
    answer = with_producer(hub, line(0), line(1), producer="p", first=0, epoch=0)
    found = asyncio.run(ask("a", "p"))
    assert found.status == 200
    assert found.body == {"epoch": 0, "next": 2, "last_id": answer.body["last_id"]}
    assert asyncio.run(ask("b", "p")).status == 404
    asked = f"{PUBLISH_STREAM}?topic=a&producer=p"
    assert hub.http.get(asked).status_code == 401
    other = {"Authorization": f"Bearer {token(publish=('b',))}"}
    assert hub.http.get(asked, headers=other).status_code == 403


@pytest.mark.parametrize(
    ("query", "headers", "status", "why"),
    [
        ("", {}, 400, "Expected one parameter topic"),
        ("topic=a&topic=b", {}, 400, "Expected one parameter topic"),
        ("topic=*", {}, 400, "A topic is *"),
        ("topic=/.well-known/mercure/runs/1", {}, 400, "reserved for the hub"),
        ("topic=a&ends=true", {}, 400, "'ends' is not a parameter"),
        ("topic=a&end=0", {}, 400, "end: expected true"),
        ("topic=a&type=mercure", {}, 400, "type is mercure"),
        ("topic=a", {"Content-Type": "application/json"}, 415, "application/x-ndjson or"),
        ("topic=a", {"Authorization": "Bearer x"}, 401, "token"),
        ("topic=a", {"Producer-Id": "p"}, 400, "Producer-Epoch and Producer-Seq together"),
        ("topic=a", {"Producer-Lease": "9"}, 400, "Producer-Lease needs"),
        ("topic=a", {**numbered("p", 0, lease=4)}, 400, "Producer-Lease: expected"),
        ("topic=a", {**numbered("p", -1)}, 400, "Producer-Seq: expected a whole number"),
        ("topic=a", {**numbered("p", 0, epoch=2**53)}, 400, "Producer-Epoch: expected"),
        ("topic=a", {**numbered("é", 0)}, 400, "Producer-Id: expected"),
    ],
)
def test_a_request_that_is_wrong_is_answered_before_its_body(
    hub: Hub, query: str, headers: dict[str, str], status: int, why: str
) -> None:
    async def act() -> Answer:
        pairs = [tuple(each.split("=")) for each in query.split("&") if each]
        async with StreamedPublish(hub.served.address, pairs, headers=headers) as request:  # type: ignore[arg-type]
            return await request.answer()

    answer = asyncio.run(act())
    assert answer.status == status
    assert why in answer.body["detail"]
    assert answer.body["accepted"] == 0


def test_a_token_without_the_right_is_refused(hub: Hub) -> None:
    answer = sent(hub, Authorization=f"Bearer {token(publish=('b',))}")
    assert (answer.status, answer.body["accepted"]) == (403, 0)


def test_a_token_that_expires_while_the_body_goes_on_ends_the_request_with_what_was_accepted(
    hub: Hub,
) -> None:
    async def act() -> Answer:
        headers = {"Authorization": f"Bearer {token_until(2)}"}
        async with StreamedPublish(hub.served.address, A, headers=headers) as request:
            await request.send(line(1))
            return await request.answer()

    answer = asyncio.run(act())
    assert (answer.status, answer.body["accepted"]) == (401, 1)
    assert "has expired" in answer.body["detail"]
    assert "invalid_token" in answer.headers["www-authenticate"]


def test_a_lease_is_renewed_while_the_request_is_open_and_ends_the_topic_after_a_cut(
    serving: Serving,
) -> None:
    async def act(hub: Hub) -> None:
        async with StreamedPublish(hub.served.address, A, headers=numbered("p", 0, lease=5)) as one:
            await one.send(line(1))
            # Longer than the lease.
            await asyncio.sleep(7)
            await one.send(line(2))
            await until(lambda: published(hub) == ["1", "2"])
            one.cut()
        await until(lambda: hub.read([*A, ("last_event_id", "earliest")])["ended"])

    with serving() as hub:
        asyncio.run(act(hub))
        last = hub.read([*A, ("last_event_id", "earliest")])["events"][-1]
        assert (last["type"], json.loads(last["data"])) == (
            "barestream.end",
            {"status": "interrupted"},
        )


def test_open_requests_and_their_updates_are_counted(hub: Hub) -> None:
    def figure(name: str) -> float:
        lines = hub.http.get("/metrics").text.splitlines()
        return float(next(each for each in lines if each.startswith(name + " ")).split()[1])

    async def act() -> None:
        async with StreamedPublish(hub.served.address, A) as request:
            await request.send(line(1) + line(2))
            await until(lambda: figure("barestream_updates_published_total") == 2)
            assert figure("barestream_streamed_publishes") == 1
            assert (await request.end()).status == 200
        await until(lambda: figure("barestream_streamed_publishes") == 0)

    asyncio.run(act())

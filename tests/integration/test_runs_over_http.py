"""The library of runs by HTTP, against a served hub: what is published, followed and refused."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from secrets import token_hex
from typing import Any

import httpx
import pytest

from barestream.runs import Answer, RefusedError, RunFailedError, Runs, Status, http_hub
from barestream.runs.http_hub import HttpHub
from barestream.runs.hub import Batch, Claim, FencedError, LostUpdatesError, RunUpdate
from barestream.runs.run import Outcome
from hub_in_use import JSON, Hub, bearing, bearing_1
from support.clients.publisher import PATH, access_token, token
from support.servers.served import until
from support.servers.service import PATIENCE_SECONDS, wait_for

RUNS = f"{PATH}/runs"
STREAMED = f"{PATH}/publish-stream"
SCOPE: dict[str, Any] = {"type": "http", "headers": [], "query_string": b""}
NDJSON = {"Content-Type": "application/x-ndjson"}
# The lease is longer than any test takes, also on a busy machine.
A_RUN = {"key": "chat/42", "runner": "a process", "lease": 600}


def using(hub: Hub, test: Callable[[Runs], Coroutine[Any, Any, None]], **tokens: str) -> None:
    async def main() -> None:
        given = {"publisher_token": token(), **tokens}
        async with Runs(hub.url + PATH, **given) as runs:
            await test(runs)

    asyncio.run(main())


async def data(answer: Answer) -> list[str]:
    whole = b"".join([piece async for piece in answer.body]).decode()
    return [line[6:] for line in whole.split("\n") if line.startswith("data: ")]


def post(hub: Hub, path: str, **sent: Any) -> httpx.Response:
    """Send a request, again until the answer has come, as the library does.

    A server that is not ours closes the connection with an answer that comes before the body has,
    and the answer may then be lost.
    """

    def answered() -> list[httpx.Response]:
        with suppress(httpx.TransportError):
            return [hub.http.post(path, **sent)]
        return []

    [answer] = wait_for("the answer", answered)
    found: httpx.Response = answer
    return found


def start(hub: Hub, **changed: object) -> dict[str, Any]:
    answer = post(hub, RUNS, json={"id": token_hex(16), **A_RUN, **changed}, headers=hub.publishing)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def publish(
    hub: Hub, run: dict[str, Any], first: int, *lines: dict[str, Any], **headers: str
) -> httpx.Response:
    """Publish a batch of a run, as its runner does."""
    numbers = {
        "Producer-Id": run["id"],
        "Producer-Epoch": str(run["fence"]),
        "Producer-Seq": str(first),
    }
    return post(
        hub,
        STREAMED,
        params={"run": run["key"]},
        content="".join(f"{json.dumps(line)}\n" for line in lines),
        headers={**NDJSON, **numbers, **hub.publishing, **headers},
    )


@pytest.mark.parametrize("version", ["0.x", "1.0"])
def test_a_run_is_started_followed_and_read_again_after_its_end(hub: Hub, version: str) -> None:
    async def test(runs: Runs) -> None:
        async def words() -> AsyncIterator[Any]:
            for number in range(30):
                yield f"{number}\n"
                await asyncio.sleep(0.01)
            yield {"é": "\u2028"}

        run = await runs.start("chat/ä 42", words)
        live, other = [await runs.follow(SCOPE, "chat/ä 42") for _ in range(2)]
        told = await data(live)
        assert "\n".join(told[:-2]).replace("\n\n", "\n").split() == [*map(str, range(30))]
        assert told[-2:] == ['{"é":"\u2028"}', '{"status": "done"}']
        assert await data(other) == told
        assert await data(await runs.follow(SCOPE, run)) == told
        ended = await runs.get("chat/ä 42")
        assert ended is not None
        assert ended.status is Status.DONE
        chat = await runs.follow(SCOPE, "chat/ä 42", format="ai-sdk")
        assert chat.status == 204

    using(hub, test, publisher_token=token() if version == "0.x" else access_token("*"))


def test_a_run_that_fails_says_why(hub: Hub) -> None:
    async def test(runs: Runs) -> None:
        async def words() -> AsyncIterator[str]:
            yield "a"
            raise RunFailedError("no credit")

        run = await runs.start("key", words)
        told = await data(await runs.follow(SCOPE, run))
        assert told == ["a", '{"status": "failed", "error": "no credit"}']

    using(hub, test)


def test_a_run_is_stopped_from_another_process(hub: Hub) -> None:
    async def test(runs: Runs) -> None:
        cleaned = []

        async def words() -> AsyncIterator[str]:
            try:
                yield "a"
                await asyncio.sleep(1000)
            finally:
                cleaned.append(1)

        run = await runs.start("key", words)
        following = await runs.follow(SCOPE, run)
        async with Runs(hub.url + PATH, token()) as other:
            assert await other.stop("key")
        assert cleaned == [1]
        assert await data(following) == ["a", '{"status": "stopped"}']

    using(hub, test)


def test_a_run_is_stopped_when_the_followers_in_another_process_have_left(hub: Hub) -> None:
    async def main() -> None:
        given = {"publisher_token": token(), "stop_without_followers_seconds": 3}
        url = hub.url + PATH

        async def words() -> AsyncIterator[str]:
            yield "a"
            await asyncio.sleep(1000)

        async with Runs(url, **given) as runs, Runs(url, **given) as others:
            await runs.start("key", words)
            reading = asyncio.create_task(data(await others.follow(SCOPE, "key")))
            await asyncio.sleep(7)
            run = await runs.get("key")
            assert run is not None
            assert run.is_active
            reading.cancel()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while run is not None and run.is_active:
                    await asyncio.sleep(0.05)
                    run = await runs.get("key")
            assert run is not None
            assert run.status is Status.STOPPED

    asyncio.run(main())


def test_a_token_that_reads_no_runs_is_noticed(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    def errors() -> list[str]:
        return [each for each in caplog.messages if each.startswith("the subscriber's token")]

    async def test(runs: Runs) -> None:
        async def words() -> AsyncIterator[str]:
            yield "a"
            # A run that has ended proves nothing.
            await asyncio.Event().wait()

        await runs.start("key", words)
        await until(errors)

    using(hub, test, publisher_token=token(subscribe=("/another",)))
    assert errors()


def test_a_snapshot_makes_a_late_join_short(hub: Hub) -> None:
    async def test(runs: Runs) -> None:
        said: list[int] = []

        async def words() -> AsyncIterator[Any]:
            for number in range(160):
                said.append(number)
                yield {"n": number}
                await asyncio.sleep(0.002)
            await asyncio.sleep(1)

        run = await runs.start("key", words, snapshot=lambda: said, batch_seconds=0.01)
        await until(lambda: len(said) == 160)
        told = await data(await runs.follow(SCOPE, run, from_snapshot=True))
        after = [json.loads(each)["n"] for each in told if each.startswith('{"n"')]
        assert json.loads(told[0]) + after == [*range(160)]
        # A snapshot comes each 50 updates; the last ones may be under way to the hub.
        assert len(after) < 160

    using(hub, test)


def test_one_claim_of_many_wins_and_a_claim_that_is_sent_again_gets_its_fence(hub: Hub) -> None:
    own = start(hub, id="a-run-of-many-claims")
    assert own["topic"] == f"{RUNS}/chat%2F42/a-run-of-many-claims"
    assert own["control"] == f"{PATH}/runners/a%20process"
    again = post(hub, RUNS, json={**A_RUN, "id": own["id"]}, headers=hub.publishing)
    assert (again.status_code, again.json()) == (201, own)
    other = post(hub, RUNS, json={**A_RUN, "runner": "other"}, headers=hub.publishing)
    assert other.status_code == 200
    assert other.json() == {name: own[name] for name in own if name != "fence"}
    # It comes once more when its run has ended.
    assert publish(hub, own, 0, {"end": True, "status": "stopped"}).status_code == 200
    late = post(hub, RUNS, json={**A_RUN, "id": own["id"]}, headers=hub.publishing)
    assert (late.status_code, late.json()) == (200, {**other.json(), "status": "stopped"})


def test_the_end_of_a_run_lets_the_key_start_again_with_a_larger_fence(hub: Hub) -> None:
    old = start(hub)
    assert publish(hub, old, 0, {"data": "a"}, {"end": True, "status": "done"}).status_code == 200
    # The answer was lost, and the batch comes again.
    again = publish(hub, old, 0, {"data": "a"}, {"end": True, "status": "done"})
    assert (again.status_code, again.json()["repeated"]) == (200, 2)
    new = start(hub)
    assert new["fence"] > old["fence"]
    assert publish(hub, old, 2, {"data": "late"}).status_code == 410
    read = hub.read([("topic", old["topic"]), ("last_event_id", "earliest")], bearing("*"))
    assert [each["data"] for each in read["events"]] == ["a", '{"status": "done"}']
    assert {each["type"] for each in read["events"]} == {"message", "barestream.end"}


def test_only_the_fence_of_a_run_publishes_to_it(hub: Hub) -> None:
    run = start(hub)
    for wrong in ({"id": "another-run-of-chat"}, {"fence": run["fence"] + 1}, {"key": "other"}):
        assert publish(hub, {**run, **wrong}, 0, {"data": "x"}).status_code == 410
    older = {**run, "fence": run["fence"] - 1}
    assert publish(hub, older, 0, {"data": "x"}).status_code == 403
    plain = hub.http.post(PATH, data={"topic": run["topic"], "data": "x"}, headers=hub.publishing)
    assert plain.status_code == 400
    headers = {**NDJSON, **hub.publishing}
    for params in ({"topic": run["topic"]}, {"run": run["key"]}):
        streamed = post(hub, STREAMED, params=params, content='{"data": "x"}\n', headers=headers)
        assert streamed.status_code == 400
    stranger = {"Authorization": f"Bearer {token(publish=(f'{RUNS}/another',))}"}
    assert publish(hub, run, 0, {"data": "x"}, **stranger).status_code == 403
    read = hub.read([("topic", run["topic"]), ("last_event_id", "earliest")], bearing("*"))
    assert read["events"] == []


def test_the_right_to_one_key_gives_no_other(hub: Hub) -> None:
    for name in ("chat%2F42", "chat%2F43"):
        rights = {"Authorization": f"Bearer {token(publish=(f'{RUNS}/{name}',))}"}
        is_own = name == "chat%2F42"
        assert post(hub, RUNS, json=A_RUN, headers=rights).is_success is is_own
        asked = {"params": {"key": "chat/42"}, "headers": rights}
        assert hub.http.get(RUNS, **asked).is_success is is_own
        assert hub.http.delete(RUNS, **asked).is_success is is_own
    for answer in (
        post(hub, RUNS, json=A_RUN),
        hub.http.get(RUNS, params={"key": "chat/42"}),
        hub.http.delete(RUNS, params={"key": "chat/42"}),
    ):
        assert answer.status_code == 401


def test_strangers_read_nothing_of_runs_and_their_control(hub: Hub) -> None:
    run = start(hub)
    publish(hub, run, 0, {"data": "secret"})
    hub.http.delete(RUNS, params={"key": "chat/42"}, headers=hub.publishing)
    asked = [
        *([("topic", each)] for each in ("*", run["topic"], f"{RUNS}/{{key}}/{{id}}")),
        *([("topic", each)] for each in (run["control"], "{+any}", f"{PATH}/runners/{{runner}}")),
        *([("match", each)] for each in ("*", run["topic"])),
        [("match_urlpattern", f"{RUNS}/:key/:id")],
    ]
    for pairs in asked:
        of_one = pairs[0][0] == "topic"
        others = (
            bearing("/another", f"{RUNS}/chat%2F43/{{id}}") if of_one else bearing_1("/another")
        )
        for headers in ({}, others):
            for extra in (
                [("last_event_id", "earliest")],
                [("rewind", "100")],
                [("rewind", "kept")],
            ):
                answer = hub.ask([*pairs, *extra], **{**JSON, **headers})
                assert answer.status_code == 200, answer.text
                assert answer.json()["events"] == [], pairs
    read = hub.read([("topic", "*"), ("last_event_id", "earliest")], bearing("*"))
    assert [each["data"] for each in read["events"]] == [
        "secret",
        json.dumps({"key": "chat/42", "id": run["id"]}),
    ]


def test_who_may_publish_a_run_may_ask_for_its_position(hub: Hub) -> None:
    run = start(hub)
    publish(hub, run, 0, {"data": "a"})
    rights = {"Authorization": f"Bearer {token(publish=(f'{RUNS}/chat%2F42',))}"}
    asked = {"run": run["key"], "producer": run["id"]}
    answer = hub.http.get(STREAMED, params=asked, headers=rights)
    assert (answer.status_code, answer.json()["next"]) == (200, 1)
    assert answer.json()["epoch"] == run["fence"]
    for changed, status in (
        ({"run": "chat/43"}, 403),
        ({"producer": "unknown"}, 404),
        ({"topic": "a"}, 400),
        ({"run": ".."}, 400),
    ):
        refused = hub.http.get(STREAMED, params={**asked, **changed}, headers=rights)
        assert refused.status_code == status


def test_refusals_are_counted(hub: Hub) -> None:
    def count() -> int:
        lines = [each for each in hub.http.get("/metrics").text.splitlines() if name in each]
        return int(float(lines[0].split()[1])) if lines else 0

    name = 'barestream_publishes_refused_total{status="404"}'
    before = count()
    hub.http.get(RUNS, params={"key": "unknown"}, headers=hub.publishing)
    hub.http.delete(RUNS, params={"key": "unknown"}, headers=hub.publishing)
    assert count() == before + 2
    asked = {"topic": "a", "producer": "unknown"}
    hub.http.get(STREAMED, params=asked, headers=hub.publishing)
    assert count() == before + 3


def test_a_publish_that_stays_open_renews_the_lease_of_its_run(serving: Any) -> None:
    with serving() as hub:
        run = start(hub, lease=5)

        def body() -> Iterator[bytes]:
            yield b'{"data": "a"}\n'
            time.sleep(8)
            yield b'{"end": true, "status": "done"}\n'

        numbers = {
            "Producer-Id": run["id"],
            "Producer-Epoch": str(run["fence"]),
            "Producer-Seq": "0",
        }
        answer = hub.http.post(
            STREAMED,
            params={"run": run["key"]},
            content=body(),
            headers={**NDJSON, **numbers, **hub.publishing},
        )
        assert (answer.status_code, answer.json()["accepted"]) == (200, 2)


def test_asking_for_an_unknown_run_starts_nothing(hub: Hub) -> None:
    for method in ("GET", "DELETE"):
        answer = hub.http.request(method, RUNS, params={"key": "k"}, headers=hub.publishing)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    start(hub, key="k")
    stopping = {"key": "k", "id": "another"}
    assert hub.http.delete(RUNS, params=stopping, headers=hub.publishing).status_code == 404


def test_a_follow_after_the_run_has_expired_starts_nothing(hub: Hub) -> None:
    run = start(hub, key="k", expires=1)
    assert publish(hub, run, 0, {"end": 1, "status": "done"}).status_code == 200

    async def test(runs: Runs) -> None:
        async with asyncio.timeout(30):
            while await runs.get("k") is not None:
                await asyncio.sleep(0.05)
        for seen in (b"", b"#1-0", b"earliest"):
            request = {**SCOPE, "headers": [(b"last-event-id", seen)]}
            assert (await runs.follow(request, "k")).status == 204
        assert await runs.get("k") is None

    using(hub, test)


@pytest.mark.parametrize(
    ("changed", "status", "word"),
    [
        ({"key": ""}, 400, "key"),
        ({"key": 1}, 400, "key"),
        ({"key": "a" * 129}, 413, "key"),
        ({"key": "a\u200b"}, 400, "key"),
        ({"runner": None}, 400, "runner"),
        ({"runner": "é"}, 400, "runner"),
        ({"id": "short"}, 400, "id"),
        ({"lease": 4}, 400, "lease"),
        ({"lease": True}, 400, "lease"),
        ({"key": ".."}, 400, "key"),
        ({"runner": "."}, 400, "runner"),
        ({"expires": 0}, 400, "expires"),
        ({"expires": "1"}, 400, "expires"),
        ({"more": 1}, 400, "fields"),
    ],
)
def test_a_malformed_claim_is_refused(
    hub: Hub, changed: dict[str, object], status: int, word: str
) -> None:
    answer = post(hub, RUNS, json={**A_RUN, **changed}, headers=hub.publishing)
    assert answer.status_code == status
    assert word in answer.json()["detail"]
    assert hub.http.get(RUNS, params={"key": "chat/42"}, headers=hub.publishing).status_code == 404


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ({"end": True}, "status"),
        ({"end": True, "status": "running"}, "status"),
        ({"status": "done"}, "end"),
        ({"end": True, "status": "done", "data": "a"}, "fields"),
        ({"end": True, "status": "failed", "error": 1}, "error"),
        ({"end": True, "status": "failed", "error": "\ud800"}, "error"),
        ({"data": "a", "topic": "b"}, "topic"),
        ({"data": "a", "type": "barestream.end"}, "type"),
    ],
)
def test_a_malformed_line_of_a_run_is_refused_and_those_before_are_taken(
    hub: Hub, line: dict[str, Any], word: str
) -> None:
    run = start(hub)
    answer = publish(hub, run, 0, {"data": "a"}, line)
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["detail"].startswith("line 2: ")
    assert word in problem["detail"]
    assert (problem["accepted"], problem["next"]) == (1, 1)
    assert publish(hub, run, 1, {"end": True, "status": "done"}).status_code == 200


def test_an_update_that_is_too_large_fails_its_run(serving: Any) -> None:
    with serving(data_bytes=1000) as hub:

        async def test(runs: Runs) -> None:
            async def words() -> AsyncIterator[Any]:
                yield "a"
                yield ["x" * 2000]
                await asyncio.sleep(1000)

            run = await runs.start("key", words)
            told = await data(await runs.follow(SCOPE, run))
            assert told == ["a", '{"status": "failed", "error": "The run has failed."}']

        using(hub, test)


def test_a_run_that_asks_to_be_known_for_longer_than_the_hub_allows_is_known_as_long(
    serving: Any,
) -> None:
    with serving(ended_seconds=60) as hub:

        async def test(runs: Runs) -> None:
            async def words() -> AsyncIterator[Any]:
                yield "a"

            run = await runs.start("key", words)
            told = await data(await runs.follow(SCOPE, run))
            assert told == ["a", '{"status": "done"}']

        using(hub, test)


def test_more_runs_than_a_few_publish_over_connections_that_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a busy machine a connection may wait for its next request for longer than it is kept.
    of_ever = httpx.Limits(
        max_connections=http_hub.LIMITS.max_connections,
        max_keepalive_connections=http_hub.LIMITS.max_keepalive_connections,
        keepalive_expiry=None,
    )
    monkeypatch.setattr(http_hub, "LIMITS", of_ever)
    connections = closed = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, closed
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await together.wait()  # All are under way at once.
                writer.write(
                    b"HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\n"
                    b"content-length: 2\r\n\r\n{}"
                )
        writer.close()
        await writer.wait_closed()
        closed += 1

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        there = HttpHub(f"http://{host}:{port}{PATH}", "a token")
        for _ in range(3):
            await asyncio.gather(*(there.run("key") for _ in range(60)))
        await there.aclose()
        await until(lambda: closed == connections)
        server.close()

    together = asyncio.Barrier(60)
    asyncio.run(main())
    assert connections == 60


def test_the_adapter_tells_fences_from_refusals(hub: Hub) -> None:
    async def main() -> None:
        there = HttpHub(hub.url + PATH, token())
        claimed = await there.claim(Claim("key", "an-id-of-a-run-of-the-test", "r", 6, 60))
        assert claimed.fence is not None
        with pytest.raises(LostUpdatesError) as missing:
            await there.publish(Batch(claimed.run, claimed.fence, 7, [RunUpdate("a")]))
        assert missing.value.next == 0
        end = Outcome(Status.STOPPED)
        await there.publish(Batch(claimed.run, claimed.fence, 0, [], end, 60))
        await there.publish(Batch(claimed.run, claimed.fence, 0, [], end, 60))
        again = await there.claim(Claim("key", claimed.run.id, "r", 6, 60))
        assert (again.run.status, again.fence) == (Status.STOPPED, None)
        with pytest.raises(FencedError):
            await there.publish(Batch(claimed.run, claimed.fence, 1, []))
        await there.aclose()
        refused = HttpHub(hub.url + PATH, "no token")
        with pytest.raises(RefusedError):
            await refused.run("key")
        await refused.aclose()

    asyncio.run(main())

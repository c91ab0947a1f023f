"""The library of runs, against a hub in memory, on a clock that jumps."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import barestream
from barestream import Event
from barestream.runs import (
    Answer,
    ClosedError,
    HubAwayError,
    LostError,
    Run,
    RunFailedError,
    Runs,
    Status,
)
from barestream.runs.formats import Format
from barestream.runs.hub import Claim, Claimed, RefusedError
from barestream.runs.runner import Options, Runner
from fake_hub import RETRY_MS, FakeHub
from jumping_loop import JumpingLoop, jumping

SCOPE: dict[str, Any] = {"type": "http", "headers": [], "query_string": b""}


def having_seen(event_id: str) -> dict[str, Any]:
    return {**SCOPE, "headers": [(b"last-event-id", event_id.encode())]}


def yielding(*items: Any, pause_seconds: float = 0, at_end: float = 0) -> Any:
    """Return a factory of generators that yield some items, with a pause after each."""

    async def generator() -> AsyncIterator[Any]:
        for item in items:
            yield item
            await asyncio.sleep(pause_seconds)
        await asyncio.sleep(at_end)

    return generator


def with_hub(test: Callable[[FakeHub, Runs], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        hub = FakeHub()
        async with Runs(hub) as runs:
            await test(hub, runs)

    jumping(main())


async def ended(runs: Runs, key: str = "key") -> Run:
    while True:
        run = await runs.get(key)
        assert run is not None
        if not run.is_active:
            return run
        await asyncio.sleep(0.01)


async def text(answer: Answer) -> str:
    return b"".join([piece async for piece in answer.body]).decode()


async def events(answer: Answer) -> list[str]:
    """Return the data of each event of an answer; of other types as type: data."""
    found = []
    for block in (await text(answer)).split("\n\n")[:-1]:
        lines = [line for line in block.split("\n") if not line.startswith((":", "retry:"))]
        data = "\n".join(line[6:] for line in lines if line.startswith("data: "))
        kinds = [line[7:] + ": " for line in lines if line.startswith("event: ")]
        found.append("".join(kinds) + data)
    return found


DONE = 'barestream.end: {"status": "done"}'


def test_text_that_comes_within_the_batch_time_is_one_update() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding(*"abcdefgh", pause_seconds=0.01))
        await ended(runs)
        assert "".join(hub.data(run)[:-1]) == "abcdefgh"
        assert len(hub.batches) <= 3
        assert hub.published_at[0] == pytest.approx(0.04)

    with_hub(test)


def test_objects_and_events_are_updates_of_their_own_in_their_order() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        items = ["a", "b", {"c": "é"}, ["d"], Event("e", type="kind"), "f"]
        run = await runs.start("key", yielding(*items))
        assert (await ended(runs)).status is Status.DONE
        told = hub.topics[run.topic].events
        assert [each.data for each in told[:-1]] == ["ab", '{"c":"é"}', '["d"]', "e", "f"]
        assert [each.type for each in told] == [*["message"] * 3, "kind", "message", told[-1].type]
        assert hub.data(run)[-1] == '{"status": "done"}'

    with_hub(test)


def test_a_thousand_updates_go_in_batches_that_the_hub_takes() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding(*({"n": n} for n in range(1000))))
        await ended(runs)
        assert [json.loads(each).get("n") for each in hub.data(run)[:-1]] == [*range(1000)]
        sizes = [len(each.updates) + (each.end is not None) for each in hub.batches]
        assert max(sizes) <= 100
        assert len(sizes) <= 12

    with_hub(test)


def test_what_was_made_while_the_hub_was_away_goes_in_batches_that_it_takes() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding(*({"n": n} for n in range(350))))
        hub.is_away = True
        await asyncio.sleep(5)
        hub.is_away = False
        await ended(runs)
        assert [json.loads(each).get("n") for each in hub.data(run)[:-1]] == [*range(350)]
        sizes = [len(each.updates) + (each.end is not None) for each in hub.batches]
        assert 90 < max(sizes) <= 100

    with_hub(test)


def test_of_many_starts_at_once_one_wins_and_the_others_get_its_run() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        made = []

        async def generator() -> AsyncIterator[str]:
            made.append(1)
            yield "a"
            await asyncio.sleep(1)

        other = Runs(hub)
        starts = [each.start("key", generator) for each in (runs, other) for _ in range(25)]
        found = await asyncio.gather(*starts)
        assert len({run.id for run in found}) == 1
        assert sum(run.is_new for run in found) == 1
        await ended(runs)
        assert made == [1]
        await other.drain(0)

    with_hub(test)


def test_a_start_whose_caller_was_cancelled_leaves_no_run_without_a_generator() -> None:
    class Slow(FakeHub):
        async def claim(self, claim: Claim) -> Claimed:
            claimed = await super().claim(claim)
            await asyncio.sleep(1)
            return claimed

    async def main() -> None:
        hub = Slow()
        runs = Runs(hub)
        starting = asyncio.create_task(runs.start("key", yielding("a")))
        await asyncio.sleep(0.5)
        starting.cancel()
        assert (await ended(runs)).status is Status.DONE
        # Also one that is under way when the process stops.
        starting = asyncio.create_task(runs.start("key", yielding("b", at_end=100)))
        await asyncio.sleep(0.5)
        await runs.drain(0)
        assert (await starting).is_new
        run = await hub.run("key")
        assert run is not None
        assert run.status is Status.INTERRUPTED

    jumping(main())


def test_a_start_whose_answers_came_too_late_gets_the_run_that_has_ended() -> None:
    class Lossy(FakeHub):
        async def claim(self, claim: Claim) -> Claimed:
            is_first = claim.key not in self.runs
            claimed = await super().claim(claim)
            if is_first:
                await asyncio.sleep(claim.lease_seconds)
                await self.end_overdue()
                raise HubAwayError("the answer was lost")
            return claimed

    async def main() -> None:
        runs = Runs(Lossy())
        run = await runs.start("key", yielding("a"))
        assert (run.is_new, run.status) == (False, Status.INTERRUPTED)
        assert (await runs.start("key", yielding("a"))).is_new
        await ended(runs)

    jumping(main())


@pytest.mark.parametrize("key", [".", ".."])
def test_a_key_that_names_another_path_of_a_url_is_refused(key: str) -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        for call in (
            runs.start(key, yielding("a")),
            runs.follow(SCOPE, key),
            runs.get(key),
            runs.stop(key),
        ):
            with pytest.raises(ValueError, match="cannot be a part of a topic"):
                await call
        assert hub.calls == 0

    with_hub(test)


def test_a_key_whose_run_has_ended_can_be_started_again() -> None:
    async def test(_: FakeHub, runs: Runs) -> None:
        first = await runs.start("key", yielding("a"))
        await ended(runs)
        second = await runs.start("key", yielding("b"))
        assert second.is_new
        assert second.id != first.id

    with_hub(test)


def test_a_batch_whose_answer_was_lost_is_sent_again_and_comes_once() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        hub.loses_answers = True
        run = await runs.start("key", yielding("a", {"b": 1}, "c", pause_seconds=0.1))
        await ended(runs)
        assert hub.data(run)[:-1] == ["a", '{"b":1}', "c"]

    with_hub(test)


def test_a_run_waits_for_a_hub_that_is_away_and_goes_on() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding(*"abcdef", pause_seconds=1))
        await asyncio.sleep(1.5)
        hub.is_away = True
        await asyncio.sleep(30)
        hub.is_away = False
        assert (await ended(runs)).status is Status.DONE
        assert "".join(hub.data(run)[:-1]) == "abcdef"

    with_hub(test)


def test_a_generator_that_is_faster_than_the_hub_is_held_back() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        made = 0

        async def generator() -> AsyncIterator[str]:
            nonlocal made
            for _ in range(1000):
                made += 1
                yield "x" * 10_000
                await asyncio.sleep(0)

        run = await runs.start("key", generator)
        hub.is_away = True
        await asyncio.sleep(10)
        assert made < 40
        hub.is_away = False
        await ended(runs)
        assert sum(map(len, hub.data(run)[:-1])) == 10_000_000
        assert max(map(len, hub.data(run))) <= 64 * 1024

    with_hub(test)


def test_a_silent_run_renews_its_lease_and_one_that_was_fenced_publishes_nothing() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        cleaned = []

        async def generator() -> AsyncIterator[str]:
            try:
                yield "a"
                await asyncio.sleep(60)
                yield "b"
                await asyncio.sleep(60)
            finally:
                cleaned.append(1)

        run = await runs.start("key", generator)
        for _ in range(30):
            await asyncio.sleep(1)
            await hub.end_overdue()
        assert (await runs.get("key")) == run.__class__(
            run.key, run.id, run.topic, Status.RUNNING, run.started_ms
        )
        # The process cannot reach the hub, and the hub declares it dead.
        hub.is_away = True
        await asyncio.sleep(10)
        await hub.end_overdue()
        hub.is_away = False
        # It learns of that by the next renewal, before the generator goes on.
        await asyncio.sleep(4)
        assert cleaned == [1]
        await asyncio.sleep(60)
        assert hub.data(run) == ["a", '{"status": "interrupted"}']

    with_hub(test)


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (RunFailedError("the model is busy"), {"status": "failed", "error": "the model is busy"}),
        (RunFailedError("x" * 1000), {"status": "failed", "error": "x" * 1000}),
        (RunFailedError("x" * 1001), {"status": "failed", "error": "x" * 999 + "…"}),
        (ValueError("a secret"), {"status": "failed", "error": "The run has failed."}),
    ],
)
def test_a_failure_is_told_without_what_only_the_log_may_have(
    error: Exception, data: dict[str, str]
) -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        async def generator() -> AsyncIterator[str]:
            yield "a"
            raise error

        run = await runs.start("key", generator)
        assert (await ended(runs)).status is Status.FAILED
        assert hub.data(run)[0] == "a"
        assert json.loads(hub.data(run)[-1]) == data

    with_hub(test)


@pytest.mark.parametrize("item", [1, None, b"a", Event("a", id="own"), {"a": {1}}, "\0"])
def test_what_a_run_cannot_publish_fails_it(item: Any) -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding("a", item))
        assert (await ended(runs)).status is Status.FAILED
        assert len(hub.data(run)) == 2

    with_hub(test)


def test_an_update_that_the_hub_refuses_fails_the_run() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        hub.refuses = '"too large"'
        run = await runs.start("key", yielding({"a": 1}, Event('"too large"'), {"b": 1}, at_end=60))
        assert (await ended(runs)).status is Status.FAILED
        assert hub.data(run)[0] == '{"a":1}'
        assert len(hub.data(run)) == 2

    with_hub(test)


@pytest.mark.parametrize("is_local", [True, False])
def test_a_stop_cancels_the_generator_and_its_cleanup_runs(is_local: bool) -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        cleaned = []

        async def generator() -> AsyncIterator[str]:
            try:
                yield "a"
                await asyncio.sleep(1000)
                yield "b"
            finally:
                await asyncio.sleep(0.5)
                cleaned.append(1)

        run = await runs.start("key", generator)
        await asyncio.sleep(1)
        other = runs if is_local else Runs(hub)
        assert await other.stop("key")
        assert cleaned == [1]
        assert hub.data(run) == ["a", '{"status": "stopped"}']
        assert not await other.stop("key")
        assert not await other.stop("another")
        if not is_local:
            await other.drain(0)

    with_hub(test)


@pytest.mark.parametrize("turns", range(4))
def test_a_stop_in_the_first_turns_of_a_run_ends_it_at_once(turns: int) -> None:
    async def test(hub: FakeHub, _: Runs) -> None:
        claimed = await hub.claim(Claim("key", "id", "runner", 6, 60))
        assert claimed.fence is not None
        factory = yielding("a", at_end=1000)
        runner = Runner(hub, claimed.run, claimed.fence, factory, Options())
        working = asyncio.create_task(runner.work())
        for _turn in range(turns):
            await asyncio.sleep(0)
        runner.cancel(Status.STOPPED)
        await working
        assert asyncio.get_running_loop().time() < 1
        assert hub.data(claimed.run)[-1] == '{"status": "stopped"}'

    with_hub(test)


def test_a_stop_that_the_runner_did_not_hear_is_asked_for_again() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        await runs.start("key", yielding("a", at_end=1000))
        # It comes before the process follows its control topic.
        other = Runs(hub)
        assert await other.stop("key")
        assert asyncio.get_running_loop().time() < 3
        await other.drain(0)

    with_hub(test)


def test_a_stop_that_came_while_a_worker_of_the_hub_stopped_is_heard_at_once() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        await runs.start("key", yielding("a", at_end=1000))
        await asyncio.sleep(5)
        other = Runs(hub)
        assert await other.stop("key")
        await ended(runs)
        await runs.start("key", yielding("a", at_end=1000))
        await asyncio.sleep(5)
        await hub.drain()
        began_at = asyncio.get_running_loop().time()
        assert await other.stop("key")
        assert asyncio.get_running_loop().time() - began_at < 0.5
        await other.drain(0)

    with_hub(test)


def test_a_generator_that_ignores_its_cancellation_does_not_keep_the_run_open() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        async def generator() -> AsyncIterator[str]:
            while True:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(1)
                yield "a"

        run = await runs.start("key", generator)
        await asyncio.sleep(2.5)
        assert await runs.stop("key")
        assert set(hub.data(run)) == {"a", '{"status": "stopped"}'}

    with_hub(test)


def test_a_cleanup_that_never_ends_does_not_keep_the_run_open() -> None:
    async def test(_: FakeHub, runs: Runs) -> None:
        over = asyncio.Event()

        async def generator() -> AsyncIterator[str]:
            try:
                yield "a"
                await asyncio.sleep(1000)
            finally:
                await over.wait()

        await runs.start("key", generator)
        await asyncio.sleep(1)
        assert await runs.stop("key")
        assert asyncio.get_running_loop().time() < 25

    with_hub(test)


def test_a_drain_lets_runs_end_and_then_interrupts_them() -> None:
    async def main() -> None:
        hub = FakeHub()
        runs = Runs(hub)
        short = await runs.start("short", yielding("a", at_end=3))
        long = await runs.start("long", yielding("a", at_end=30))
        await asyncio.sleep(1)
        await runs.drain(5)
        assert hub.data(short) == ["a", '{"status": "done"}']
        assert hub.data(long) == ["a", '{"status": "interrupted"}']
        assert asyncio.get_running_loop().time() < 10
        assert hub.is_closed
        with pytest.raises(ClosedError):
            await runs.start("another", yielding("a"))
        for call in (runs.get("short"), runs.follow(SCOPE, "short"), runs.stop("short")):
            with pytest.raises(ClosedError):
                await call

    jumping(main())


def test_a_drain_ends_although_the_hub_is_away() -> None:
    async def main() -> None:
        hub = FakeHub()
        runs = Runs(hub)
        await runs.start("key", yielding("a", at_end=30))
        await asyncio.sleep(1)
        hub.is_away = True
        await runs.drain(0)
        assert asyncio.get_running_loop().time() < 30

    jumping(main())


def test_a_start_while_the_hub_is_away_says_so_and_starts_nothing() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        hub.is_away = True
        with pytest.raises(HubAwayError):
            await runs.start("key", yielding("a"))
        hub.is_away = False
        assert await runs.get("key") is None

    with_hub(test)


def test_a_follower_gets_the_whole_run_and_then_its_end() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding({"n": 1}, {"n": 2}, pause_seconds=1))
        early = await runs.follow(SCOPE, "key")
        assert early.status == 200
        assert early.headers["content-type"].startswith("text/event-stream")
        assert await events(early) == ['{"n":1}', '{"n":2}', DONE]
        late = await runs.follow(SCOPE, "key")
        assert await events(late) == ['{"n":1}', '{"n":2}', DONE]
        back = await runs.follow(having_seen(run.first_event_id), "key")
        assert await events(back) == ['{"n":2}', DONE]
        in_query = await runs.follow(
            {**SCOPE, "query_string": f"last_event_id={run.first_event_id}".encode()}, "key"
        )
        assert await events(in_query) == ['{"n":2}', DONE]
        last_id = hub.topics[run.topic].events[-1].id or ""
        over = await runs.follow(having_seen(last_id), "key")
        assert (over.status, await text(over)) == (204, "")

    with_hub(test)


def test_an_event_source_comes_back_after_the_delay_that_the_hub_has_chosen() -> None:
    async def test(_: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding("text"))
        assert (await text(await runs.follow(SCOPE, run))).startswith(f"retry: {RETRY_MS}\n")

    with_hub(test)


@pytest.mark.parametrize(
    "changed",
    [
        {"headers": [(b"last-event-id", b"\xe9")]},
        {"headers": [(b"last-event-id", b"a" * 256)]},
        {"query_string": b"last_event_id=a%0d%0aX:1"},
        {"query_string": b"last_event_id=%20a"},
    ],
)
def test_what_cannot_be_an_id_of_the_hub_counts_as_none(changed: dict[str, Any]) -> None:
    async def test(_: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding("a"))
        assert await events(await runs.follow({**SCOPE, **changed}, run)) == ["a", DONE]

    with_hub(test)


@pytest.mark.parametrize("name", ["sse", "ai-sdk"])
def test_following_an_unknown_key_gets_204_and_starts_nothing(name: Any) -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        for request in (SCOPE, having_seen("#1-0")):
            answer = await runs.follow(request, "key", format=name)
            assert (answer.status, await text(answer)) == (204, "")
        assert hub.runs == {}

    with_hub(test)


def test_a_follower_outlasts_outages_and_drains_of_the_hub_and_gets_nothing_twice() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        await runs.start("key", yielding(*({"n": n} for n in range(20)), pause_seconds=1))
        for name in ("sse", "ai-sdk"):
            answer = await runs.follow(SCOPE, "key", format=name)
            reading = asyncio.create_task(events(answer))
            for _ in range(3):
                await asyncio.sleep(1.3)
                hub.is_away = True
                await hub.drain()
                await asyncio.sleep(1)
                hub.is_away = False
            found = await reading
            assert [json.loads(each)["n"] for each in found[:-1]] == [*range(20)]
            assert found[-1] == (DONE if name == "sse" else "[DONE]")
            await ended(runs)
            await runs.start("key", yielding(*({"n": n} for n in range(20)), pause_seconds=1))

    with_hub(test)


def test_a_follower_of_a_run_that_the_hub_has_lost_is_told_that_it_was_interrupted() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        await runs.start("key", yielding("a", at_end=100))
        answer = await runs.follow(SCOPE, "key")
        reading = asyncio.create_task(events(answer))
        await asyncio.sleep(1)
        hub.runs.clear()
        await hub.drain()
        assert await reading == ["a", 'barestream.end: {"status":"interrupted"}']

    with_hub(test)


def test_an_event_source_stops_also_where_the_hub_no_longer_has_the_end() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding("a"))
        await ended(runs)
        # A topic whose events have all left: to the hub any client has seen its end.
        gone = hub.topics[run.topic].events
        hub.topics[run.topic].events = []
        told = await text(await runs.follow(SCOPE, "key"))
        assert told.endswith(f'data: {{"status":"done"}}\nid: {run.end_event_id}\n\n')
        answer = await runs.follow(having_seen(run.end_event_id), "key")
        assert (answer.status, await text(answer)) == (204, "")
        hub.topics[run.topic].events = gone
        # It is no place in a later run of the key.
        await runs.start("key", yielding("b"))
        await ended(runs)
        answer = await runs.follow(having_seen(run.end_event_id), "key")
        assert await events(answer) == ["b", DONE]

    with_hub(test)


def test_a_follower_is_told_that_the_beginning_of_a_run_is_gone() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding({"n": 1}, {"n": 2}, pause_seconds=1))
        await asyncio.sleep(1.5)
        hub.topics[run.topic].floor = 1
        answer = await runs.follow(SCOPE, run)
        chat = await runs.follow(SCOPE, run, format="ai-sdk")
        found = await events(answer)
        assert found[0].startswith("barestream.gap: ")
        assert found[1:] == ['{"n":2}', DONE]
        assert [each[:15] for each in await events(chat)] == ['{"type":"error"', "[DONE]"]

    with_hub(test)


def test_the_ai_sdk_gets_its_chunks_and_done() -> None:
    async def test(_: FakeHub, runs: Runs) -> None:
        chunks = [{"type": "start"}, {"type": "text-delta", "id": "1", "delta": "é"}]
        run = await runs.start("key", yielding(*chunks, pause_seconds=1))
        answer = await runs.follow(having_seen("#ignored"), "key", format="ai-sdk")
        assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
        found = await events(answer)
        assert [json.loads(each) for each in found[:-1]] == chunks
        assert found[-1] == "[DONE]"
        over = await runs.follow(SCOPE, "key", format="ai-sdk")
        assert over.status == 204
        # The answer to the request that has started it has all of it, however short it was.
        whole = await runs.follow(SCOPE, run, format="ai-sdk")
        assert await events(whole) == found

    with_hub(test)


@pytest.mark.parametrize(
    ("act", "chunk"),
    [
        ("stop", {"type": "abort"}),
        ("fail", {"type": "error", "errorText": "no credit"}),
        ("lose", {"type": "error", "errorText": "The answer was interrupted."}),
    ],
)
def test_the_ai_sdk_is_told_how_a_run_has_ended(act: str, chunk: dict[str, str]) -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        async def generator() -> AsyncIterator[dict[str, object]]:
            yield {"type": "start"}
            await asyncio.sleep(5)
            if act == "fail":
                raise RunFailedError("no credit")
            await asyncio.sleep(50)

        await runs.start("key", generator)
        answer = await runs.follow(SCOPE, "key", format="ai-sdk")
        reading = asyncio.create_task(events(answer))
        await asyncio.sleep(1)
        if act == "stop":
            await runs.stop("key")
        elif act == "lose":
            hub.runs.clear()
            await hub.drain()
        found = await reading
        assert [json.loads(each) for each in found[:-1]] == [{"type": "start"}, chunk]
        assert found[-1] == "[DONE]"

    with_hub(test)


def test_a_drain_ends_an_event_source_cleanly_and_cuts_the_ai_sdk() -> None:
    async def main() -> None:
        hub = FakeHub()
        there, here = Runs(hub), Runs(hub)
        run = await there.start("key", yielding("a", at_end=100))
        answers = [await here.follow(SCOPE, run, format=name) for name in ("sse", "ai-sdk")]
        reading = [asyncio.create_task(events(answer)) for answer in answers]
        await asyncio.sleep(1)
        await here.drain(5)
        assert await reading[0] == ["a"]
        with pytest.raises(ClosedError):
            await reading[1]
        await there.drain(0)

    jumping(main())


def test_a_late_follower_begins_with_the_newest_snapshot() -> None:
    async def test(_: FakeHub, runs: Runs) -> None:
        said: list[int] = []

        async def generator() -> AsyncIterator[dict[str, object]]:
            for n in range(130):
                said.append(n)
                yield {"n": n}
                await asyncio.sleep(0.1)

        run = await runs.start("key", generator, snapshot=lambda: [{"said": said}])
        await asyncio.sleep(12)
        answers = [
            await runs.follow(SCOPE, run, format=name, from_snapshot=True)
            for name in ("sse", "ai-sdk")
        ]
        sse, chat = [await events(answer) for answer in answers]
        assert sse[0].startswith("snapshot: ")
        after = [json.loads(each)["n"] for each in sse if each.startswith('{"n"')]
        [seen] = json.loads(sse[0].removeprefix("snapshot: "))
        assert [*seen["said"], *after] == [*range(130)]
        assert len(after) < 60
        assert [*json.loads(chat[0])["said"], *(json.loads(each)["n"] for each in chat[1:-1])] == [
            *range(130)
        ]

    with_hub(test)


def test_a_follower_of_the_ai_sdk_from_the_beginning_gets_no_snapshot_beside_the_chunks() -> None:
    async def test(_: FakeHub, runs: Runs) -> None:
        made: list[object] = []

        async def chunks() -> AsyncIterator[dict[str, object]]:
            for n in range(120):
                made.append({"n": n})
                yield {"n": n}
                await asyncio.sleep(0.1)

        await runs.start("key", chunks, snapshot=lambda: made)
        answer = await runs.follow(SCOPE, "key", format="ai-sdk")
        assert [json.loads(each) for each in (await events(answer))[:-1]] == made

    with_hub(test)


def test_a_late_follower_of_a_run_without_snapshots_gets_all_of_it() -> None:
    async def test(_: FakeHub, runs: Runs) -> None:
        await runs.start("key", yielding({"n": 1}, {"n": 2}, pause_seconds=1))
        await asyncio.sleep(1.5)
        answer = await runs.follow(SCOPE, "key", from_snapshot=True)
        assert await events(answer) == ['{"n":1}', '{"n":2}', DONE]

    with_hub(test)


def test_a_hub_that_refuses_a_follower_is_an_error_of_the_app() -> None:
    class Refusing(FakeHub):
        def follow(self, *_: Any, **__: Any) -> Any:
            raise RefusedError("401")

    async def main() -> None:
        hub = Refusing()
        runs = Runs(hub)
        run = await runs.start("key", yielding("a"))
        with pytest.raises(LostError):
            await runs.follow(SCOPE, run)
        await runs.drain(1)

    jumping(main())


def test_a_request_of_no_asgi_framework_is_an_error_that_says_so() -> None:
    async def test(_: FakeHub, runs: Runs) -> None:
        with pytest.raises(TypeError, match="Django on ASGI"):
            await runs.follow(object(), "key")

    with_hub(test)


def test_over_http_the_library_imports_no_part_of_a_server() -> None:
    program = "import sys, barestream.runs, barestream.runs.http_hub; print(*sys.modules)"
    source = Path(barestream.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    roots = {name.partition(".")[0] for name in done.stdout.split()}
    assert "httpx" in roots
    assert roots & {"bareasgi", "uvicorn", "gunicorn", "valkey", "pydantic", "jwt"} == set()


@pytest.mark.parametrize("is_local", [True, False])
def test_a_run_is_stopped_some_time_after_its_last_follower_has_left(is_local: bool) -> None:
    async def main() -> None:
        hub = FakeHub()
        runs = Runs(hub, stop_without_followers_seconds=30)
        others = runs if is_local else Runs(hub, stop_without_followers_seconds=30)
        run = await runs.start("key", yielding("a", at_end=1000))
        now = asyncio.get_running_loop().time
        readings = []
        for _ in range(2):
            answer = await others.follow(SCOPE, "key")
            readings.append(asyncio.create_task(events(answer)))
        await asyncio.sleep(200)
        readings[0].cancel()
        await asyncio.sleep(100)
        assert hub.data(run) == ["a"]
        readings[1].cancel()
        left_at = now()
        assert (await ended(runs)).status is Status.STOPPED
        assert 20 <= now() - left_at <= 45
        unfollowed = await runs.start("another", yielding("a", at_end=1000))
        assert (await ended(runs, "another")).status is Status.STOPPED
        assert hub.data(unfollowed) == ["a", '{"status": "stopped"}']
        for each in {runs, others}:
            await each.drain(0)

    jumping(main())


def test_a_run_is_not_stopped_while_nobody_can_tell_of_its_followers() -> None:
    async def main() -> None:
        hub = FakeHub()
        runs = Runs(hub, stop_without_followers_seconds=30)
        others = Runs(hub, stop_without_followers_seconds=30)
        run = await runs.start("key", yielding("a", at_end=1000))
        reading = asyncio.create_task(events(await others.follow(SCOPE, "key")))
        await asyncio.sleep(50)
        hub.is_away = True
        await hub.drain()
        await asyncio.sleep(100)
        hub.is_away = False
        await asyncio.sleep(100)
        assert hub.data(run) == ["a"]
        reading.cancel()
        assert (await ended(runs)).status is Status.STOPPED
        for each in (runs, others):
            await each.drain(0)

    jumping(main())


def test_a_process_that_was_stopped_itself_waits_for_its_followers_again() -> None:
    async def main() -> None:
        runs = Runs(FakeHub(), stop_without_followers_seconds=30)
        await runs.start("key", yielding("a", at_end=1000))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop)
        await asyncio.sleep(5)
        loop.stand_still(100)
        await asyncio.sleep(15)
        run = await runs.get("key")
        assert run is not None
        assert run.is_active
        await runs.drain(0)

    jumping(main())


def test_a_token_that_reads_no_runs_is_noticed_at_the_first_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Deaf(FakeHub):
        async def tell_followed(self, key: str, run_id: str) -> Status:  # noqa: ARG002
            """Publish what the process may not read."""
            return self.runs[key][0].status

    async def main(hub: FakeHub) -> None:
        async with Runs(hub) as runs:
            # A run that is over before it can be told anything proves nothing.
            await runs.start("short", yielding())
            await asyncio.sleep(60)
            await runs.start("key", yielding("a", at_end=1000))
            # An outage proves nothing.
            hub.is_away = True
            await asyncio.sleep(60)
            hub.is_away = False
            await asyncio.sleep(60)

    for hub, count in ((FakeHub(), 0), (Deaf(), 1)):
        caplog.clear()
        jumping(main(hub))
        errors = [each for each in caplog.messages if each.startswith("the subscriber's token")]
        assert len(errors) == count


def test_a_run_goes_on_without_followers_by_default() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding("a", at_end=1000))
        assert (await ended(runs)).status is Status.DONE
        assert hub.data(run) == ["a", '{"status": "done"}']

    with_hub(test)


def test_the_hub_is_told_whose_stream_it_is() -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding("a"))
        await events(await runs.follow({**SCOPE, "client": ("192.0.2.1", 5000)}, run))
        assert "192.0.2.1" in hub.clients

    with_hub(test)


class OwnError(BaseException):
    """An app's error that is no Exception."""


@pytest.mark.parametrize("error", [OwnError("a secret"), GeneratorExit()])
def test_whatever_a_generator_raises_its_run_fails(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        async def generator() -> AsyncIterator[str]:
            yield "a"
            raise error

        run = await runs.start("key", generator)
        assert (await ended(runs)).status is Status.FAILED
        assert json.loads(hub.data(run)[-1]) == {"status": "failed", "error": "The run has failed."}

    with_hub(test)
    assert caplog.messages == ["a run's generator failed"]


def test_a_message_of_a_failure_that_utf_8_cannot_encode_reaches_every_follower() -> None:
    async def test(_: FakeHub, runs: Runs) -> None:
        async def generator() -> AsyncIterator[dict[str, object]]:
            yield {"type": "start"}
            await asyncio.sleep(1)
            raise RunFailedError("no \ud800 and \ud83d\ude00")

        await runs.start("key", generator)
        formats: list[Format] = ["sse", "ai-sdk"]
        answers = [await runs.follow(SCOPE, "key", format=name) for name in formats]
        sse, chat = [await events(answer) for answer in answers]
        told = json.loads(sse[-1].removeprefix("barestream.end: "))
        assert told == {"status": "failed", "error": "no \ufffd and \U0001f600"}
        assert json.loads(chat[1]) == {"type": "error", "errorText": "no \ufffd and \U0001f600"}

    with_hub(test)


@pytest.mark.parametrize("item", ["", Event("")])
def test_a_generator_that_waits_for_nothing_lets_the_rest_go_on_and_is_held_back(
    item: str | Event,
) -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        made = 0

        async def generator() -> AsyncIterator[str | Event]:
            nonlocal made
            while made < 20_000:
                made += 1
                yield item

        run = await runs.start("key", generator)
        hub.is_away = True
        for _ in range(50):
            await asyncio.sleep(0)
        assert made < 10_000
        await asyncio.sleep(10)
        if item:
            assert made <= 1200
        hub.is_away = False
        assert (await ended(runs)).status is Status.DONE
        assert len(hub.data(run)) == (20_001 if item else 1)

    with_hub(test)


def test_a_process_hears_a_stop_after_any_error_of_its_control_topic(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Odd(FakeHub):
        """Fails in the ways of a hub's adapter that is broken."""

        is_broken = False

        def follow(self, *arguments: Any, **options: Any) -> Any:
            if self.is_broken:
                raise OSError("broken")
            return super().follow(*arguments, **options)

    async def main() -> None:
        hub = Odd()
        runs, other = Runs(hub, stop_without_followers_seconds=30), Runs(hub)
        run = await runs.start("key", yielding("a", at_end=1000))
        await asyncio.sleep(5)
        hub.is_broken = True
        await hub.drain()
        # Nobody can tell of followers, so the run goes on.
        await asyncio.sleep(100)
        assert hub.data(run) == ["a"]
        hub.is_broken = False
        await asyncio.sleep(5)
        await hub.tell("key", "[]")
        assert await other.stop("key")
        assert hub.data(run)[-1] == '{"status": "stopped"}'
        await runs.drain(0)
        await other.drain(0)

    jumping(main())
    assert "no run of this process can be stopped from another one" in caplog.messages
    assert caplog.messages[-1] == "an event on the control topic names no run"


def test_followers_are_told_of_and_tokens_checked_after_any_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Odd(FakeHub):
        is_broken = True

        async def tell_followed(self, key: str, run_id: str) -> Status | None:
            if self.is_broken:
                raise OSError("broken")
            return await super().tell_followed(key, run_id)

    async def main() -> None:
        hub = Odd()
        runs = Runs(hub, stop_without_followers_seconds=30)
        others = Runs(hub, stop_without_followers_seconds=30)
        run = await runs.start("key", yielding("a", at_end=1000))
        reading = asyncio.create_task(events(await others.follow(SCOPE, "key")))
        await asyncio.sleep(15)
        hub.is_broken = False
        await asyncio.sleep(200)
        assert hub.data(run) == ["a"]
        # The check of the first start has failed, which is no reason for others to fail.
        assert (await runs.start("another", yielding("a"))).is_new
        reading.cancel()
        for each in (runs, others):
            await each.drain(0)

    jumping(main())
    assert {*caplog.messages} == {
        "a runner was not told of its followers",
        "the tokens could not be checked",
    }


def test_a_run_whose_updates_the_hub_has_lost_fails_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(hub: FakeHub, runs: Runs) -> None:
        run = await runs.start("key", yielding(*"abcdef", pause_seconds=1))
        await asyncio.sleep(2.5)
        hub.lose(run, 2)
        assert (await ended(runs)).status is Status.FAILED
        assert hub.data(run) == ["a", '{"status": "failed", "error": "The run has failed."}']

    with_hub(test)
    assert caplog.messages == ["the hub has lost updates of a run, so the run fails"]

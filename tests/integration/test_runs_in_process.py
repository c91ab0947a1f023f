"""Runs of a bareASGI app on this server, in the process of its hub."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from bareasgi import Application, HttpRequest, HttpResponse

from barestream.app import create_app
from barestream.runs import HubAwayError, RefusedError, Runs, Status
from barestream.runs.embedded import respond, runs_of
from barestream.runs.hub import Batch, Claim, LostUpdatesError, RunUpdate
from barestream.runs.local_hub import LOCAL_HUB
from barestream.runs.run import Outcome
from barestream.settings.settings import Settings
from support.clients.publisher import KEY, PATH, token
from support.clients.sse_client import SseClient
from support.servers.served import Served, until
from support.servers.service import PATIENCE_SECONDS, wait_for

Factory = Callable[[], AsyncIterator[Any]]


class App:
    """An app whose page starts one run, follows it and stops it."""

    def __init__(self, factory: Factory) -> None:
        self.application: Application = create_app(Settings(token_key=KEY, drain_seconds=0))
        self.runs: Runs = runs_of(self.application, drain_seconds=0)
        self._factory = factory
        for method, handler in (("POST", self._ask), ("GET", self._read), ("DELETE", self._stop)):
            self.application.http_router.add({method}, "/chat", handler)

    async def _ask(self, request: HttpRequest) -> HttpResponse:
        run = await self.runs.start("chat", self._factory)
        return respond(request, await self.runs.follow(request, run, format=_format(request)))

    async def _read(self, request: HttpRequest) -> HttpResponse:
        answer = await self.runs.follow(request, "chat", format=_format(request))
        return respond(request, answer)

    async def _stop(self, request: HttpRequest) -> HttpResponse:
        del request
        return HttpResponse(204 if await self.runs.stop("chat") else 404)


def _format(request: HttpRequest) -> Any:
    return "ai-sdk" if request.scope["query_string"] == b"ai-sdk" else "sse"


@contextmanager
def serving(factory: Factory, *, ours: bool = True) -> Iterator[Served]:
    with Served(App(factory).application, ours=ours) as served:
        wait_for("the hub", lambda: httpx.get(f"{served.url}/readyz").status_code == 200)
        yield served


async def chunks() -> AsyncIterator[dict[str, int]]:
    for number in range(20):
        yield {"n": number}
        await asyncio.sleep(0.01)


async def endless() -> AsyncIterator[dict[str, int]]:
    yield {"n": 0}
    await asyncio.sleep(1000)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"key": "a\u200b"}, "key"),
        ({"key": "a" * 129}, "key"),
        ({"key": ".."}, "key"),
        ({"lease_seconds": 4}, "lease"),
        ({"runner": "é"}, "runner"),
        ({"expires_seconds": 0}, "expires"),
    ],
)
def test_a_claim_has_the_rules_of_a_request(changed: dict[str, Any], word: str) -> None:
    claim = Claim("key", "an-id-of-a-run-of-the-test", "runner", 6, 60)
    hub = create_app(Settings(token_key=KEY)).info[LOCAL_HUB]
    with pytest.raises(RefusedError, match=word):
        asyncio.run(hub.claim(claim._replace(**changed)))


def test_a_claim_that_finds_no_room_may_succeed_a_moment_later() -> None:
    async def main() -> None:
        hub = create_app(Settings(token_key=KEY, runs=1)).info[LOCAL_HUB]
        claim = Claim("key", "an-id-of-a-run-of-the-test", "runner", 6, 10**9)
        assert (await hub.claim(claim)).fence is not None
        with pytest.raises(HubAwayError, match="BARESTREAM_RUNS"):
            await hub.claim(claim._replace(key="another", id="another-id-of-the-test"))

    asyncio.run(main())


def test_an_update_has_the_rules_of_a_request_and_those_before_it_are_taken() -> None:
    async def main() -> None:
        hub = create_app(Settings(token_key=KEY)).info[LOCAL_HUB]
        claimed = await hub.claim(Claim("key", "an-id-of-a-run-of-the-test", "runner", 6, 10**9))
        updates = [RunUpdate("a"), RunUpdate("b", "barestream.end")]
        batch = Batch(claimed.run, claimed.fence, 0, updates, expires_seconds=10**9)
        with pytest.raises(RefusedError, match="type") as refused:
            await hub.publish(batch)
        assert refused.value.next == 1
        await hub.publish(batch._replace(first=1, updates=[], end=Outcome(Status.DONE)))
        assert (await hub.run("key")).status is Status.DONE

    asyncio.run(main())


def test_updates_that_are_missing_are_no_fence() -> None:
    async def main() -> None:
        hub = create_app(Settings(token_key=KEY)).info[LOCAL_HUB]
        claimed = await hub.claim(Claim("key", "an-id-of-a-run-of-the-test", "runner", 6, 60))
        with pytest.raises(LostUpdatesError) as missing:
            await hub.publish(Batch(claimed.run, claimed.fence, 7, [RunUpdate("a")]))
        assert missing.value.next == 0

    asyncio.run(main())


@pytest.fixture(params=[True, False], ids=["direct", "asgi"])
def ours(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_a_run_is_followed_by_several_and_can_be_read_from_the_hub(ours: bool) -> None:
    whole = [f'{{"n":{number}}}' for number in range(20)] + ['{"status": "done"}']

    async def main(served: Served) -> None:
        first = SseClient(served.address, "/chat", method="POST")
        asking = asyncio.create_task(first.run(PATIENCE_SECONDS))
        await until(lambda: len(first.events) >= 5)
        second = await SseClient(served.address, "/chat").run(PATIENCE_SECONDS)
        await asking
        assert [event.data for event in first.events] == whole
        assert [event.data for event in second.events] == whole
        assert second.clean
        seen = {"Last-Event-ID": second.events[-2].id or ""}
        third = await SseClient(served.address, "/chat", seen).run(PATIENCE_SECONDS)
        assert [event.data for event in third.events] == whole[-1:]

    with serving(chunks, ours=ours) as served:
        asyncio.run(main(served))
        asked = {"params": {"key": "chat"}, "headers": {"Authorization": f"Bearer {token()}"}}
        run = httpx.get(f"{served.url}{PATH}/runs", **asked).json()
        assert run["status"] == "done"
        read = httpx.get(
            served.url + PATH,
            params={"topic": run["topic"], "last_event_id": "earliest"},
            headers={**asked["headers"], "Accept": "application/json"},
        ).json()
        assert [event["data"] for event in read["events"]] == whole


def test_the_ai_sdk_gets_done_and_after_the_end_204(ours: bool) -> None:
    with serving(chunks, ours=ours) as served:
        with httpx.stream("POST", f"{served.url}/chat?ai-sdk") as answer:
            assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
        assert lines == [*(f'{{"n":{number}}}' for number in range(20)), "[DONE]"]
        assert httpx.get(f"{served.url}/chat?ai-sdk").status_code == 204
        assert httpx.get(f"{served.url}/chat").status_code == 200


def test_a_stop_ends_the_run_for_its_followers(ours: bool) -> None:
    with serving(endless, ours=ours) as served:

        async def main() -> SseClient:
            client = SseClient(served.address, "/chat", method="POST")
            reading = asyncio.create_task(client.run(PATIENCE_SECONDS))
            await until(lambda: client.events)
            async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as there:
                assert (await there.delete(f"{served.url}/chat")).status_code == 204
                assert (await there.delete(f"{served.url}/chat")).status_code == 404
            await reading
            return client

        client = asyncio.run(main())
    assert [event.data for event in client.events] == ['{"n":0}', '{"status": "stopped"}']


def test_a_worker_that_stops_ends_no_stream_of_the_ai_sdk_cleanly_before_its_run() -> None:
    # An EventSource comes back for the end; the AI SDK would take a clean end for that of the run.
    with serving(endless) as served:

        async def main() -> list[SseClient]:
            clients = [
                SseClient(served.address, f"/chat{query}", method="POST")
                for query in ("", "?ai-sdk")
            ]
            readings = [asyncio.create_task(each.run(PATIENCE_SECONDS)) for each in clients]
            await until(lambda: all(each.events for each in clients))
            served.end()
            await asyncio.wait(readings)
            return clients

        sse, chat = asyncio.run(main())
    assert sse.clean
    told = [event.data for event in chat.events]
    assert told[0] == '{"n":0}'
    assert not chat.clean or told[-1] == "[DONE]"

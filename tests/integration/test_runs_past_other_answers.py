"""Runs whose requests are answered now and then by something that is not the hub."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from barestream.runs import Answer, Runs, Status
from barestream.runs.http_hub import HttpHub
from hub_in_use import Hub
from support.clients.publisher import PATH, token

SCOPE: dict[str, Any] = {"type": "http", "headers": [], "query_string": b""}

OTHERS: dict[str, Callable[[], httpx.Response]] = {
    "a page": lambda: httpx.Response(200, html="<p>Log in</p>"),
    "another object": lambda: httpx.Response(200, json={}),
    "nothing": lambda: httpx.Response(204),
    "a redirect": lambda: httpx.Response(302, headers={"location": "/login"}),
    "a page for 404": lambda: httpx.Response(404, html="<p>no</p>"),
    "a page for 409": lambda: httpx.Response(409, html="<p>no</p>"),
}


class Between(httpx.AsyncHTTPTransport):
    """Answers each second publish itself, in turn before and after the hub has taken it."""

    def __init__(self, other: Callable[[], httpx.Response]) -> None:
        super().__init__()
        self.publishes = 0
        self._other = other

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/publish-stream"):
            return await super().handle_async_request(request)
        self.publishes += 1
        if self.publishes % 4 == 1:
            return self._other()
        answer = await super().handle_async_request(request)
        if self.publishes % 4 == 3:
            await answer.aclose()
            return self._other()
        return answer


async def data(answer: Answer) -> list[str]:
    whole = b"".join([piece async for piece in answer.body]).decode()
    return [line[6:] for line in whole.split("\n") if line.startswith("data: ")]


async def numbers() -> AsyncIterator[dict[str, object]]:
    for number in range(8):
        yield {"n": number}
        await asyncio.sleep(0.06)


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_goes_on_past_answers_to_its_publishes_that_are_no_hubs(hub: Hub, name: str) -> None:
    async def main() -> None:
        between = Between(OTHERS[name])
        async with (
            httpx.AsyncClient(transport=between) as client,
            Runs(HttpHub(hub.url + PATH, token(), client=client)) as runs,
        ):
            run = await runs.start("key", numbers)
            *told, end = [json.loads(each) for each in await data(await runs.follow(SCOPE, run))]
            assert told == [{"n": number} for number in range(8)]
            assert end == {"status": "done"}
            # The first publish always gets another answer; a slow machine sends few batches.
            assert between.publishes > 1

    asyncio.run(main())


def test_a_stop_is_heard_again_once_the_function_that_returns_the_token_works_again(
    hub: Hub,
) -> None:
    async def main() -> None:
        asked, is_broken = asyncio.Event(), True

        async def reading() -> str:
            asked.set()
            if is_broken:
                raise OSError("the token service is down")
            return token()

        async def words() -> AsyncIterator[str]:
            yield "a"
            await asyncio.Event().wait()

        async with (
            Runs(hub.url + PATH, token(), reading) as here,
            Runs(hub.url + PATH, token()) as there,
        ):
            await here.start("key", words)
            await asked.wait()
            is_broken = False
            assert await there.stop("key")
            found = await there.get("key")
            assert found is not None
            assert found.status is Status.STOPPED

    asyncio.run(main())

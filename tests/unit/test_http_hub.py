"""The adapter for HTTP, on a transport in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from barestream.runs import HubAwayError, RefusedError, Run, Status
from barestream.runs.http_hub import HttpHub, Token
from barestream.runs.hub import Batch, Claim, FencedError, LostUpdatesError, RunUpdate
from barestream.runs.run import Outcome

URL = "http://hub.test/.well-known/mercure"


Answering = Callable[[httpx.Request], httpx.Response]

A_RUN = Run("key", "id", "runs/id", Status.RUNNING, 1)
TOLD: dict[str, object] = {
    "key": "key",
    "id": "id",
    "topic": "runs/id",
    "status": "running",
    "started": 1,
}


def calling(
    call: Callable[[HttpHub], Awaitable[Any]], answer: Answering, token: Token = "a token"
) -> Any:
    """Call a hub that answers so; return what it returns."""

    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await call(HttpHub(URL, token, client=client))

    return asyncio.run(main())


async def asking_for_a_run(hub: HttpHub) -> Run | None:
    return await hub.run("key")


async def claiming(hub: HttpHub) -> object:
    return await hub.claim(Claim("key", "id", "runner", 6, 60))


async def publishing(hub: HttpHub) -> None:
    await hub.publish(Batch(A_RUN, 1, 5, [RunUpdate("a")], Outcome(Status.DONE), 60))


async def stopping(hub: HttpHub) -> Status | None:
    return await hub.ask_to_stop("key", "id")


async def following(hub: HttpHub) -> None:
    async with hub.follow("topic", None) as events:
        assert events is not None
        async for _ in events:
            pass


CALLS = [asking_for_a_run, claiming, publishing, stopping, following]


def asking(answer: Answering) -> Any:
    """Ask a hub that answers so for a run; return what it returns."""
    return calling(asking_for_a_run, answer)


def problem(status: int, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
    sent = {"content-type": "application/problem+json", **(headers or {})}
    return httpx.Response(status, headers=sent, json={"detail": "no", **members})


def test_a_client_that_was_given_stays_open() -> None:
    async def main() -> None:
        transport = httpx.MockTransport(lambda _: problem(404))
        async with httpx.AsyncClient(transport=transport) as client:
            hub = HttpHub(URL, "a token", client=client)
            assert await hub.run("key") is None
            await hub.aclose()
            assert not client.is_closed

    asyncio.run(main())


def test_an_adapter_that_was_closed_says_so() -> None:
    async def main() -> None:
        hub = HttpHub(URL, "a token")
        await hub.aclose()
        with pytest.raises(HubAwayError, match="closed"):
            await hub.run("key")

    asyncio.run(main())


@pytest.mark.parametrize("error", [httpx.LocalProtocolError, httpx.UnsupportedProtocol])
def test_a_request_that_cannot_be_sent_is_refused_and_not_tried_for_ever(
    error: type[httpx.TransportError],
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error("no header")

    with pytest.raises(RefusedError, match="no header"):
        asking(answer)


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.RemoteProtocolError])
def test_a_hub_that_cannot_be_reached_is_away(error: type[httpx.TransportError]) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error("cut")

    with pytest.raises(HubAwayError, match="cut"):
        asking(answer)


class Junk(httpx.AsyncByteStream):
    """A body that claims to be of gzip."""

    async def __aiter__(self) -> Any:
        yield b"junk"


# What stands between an app and its hub may answer in place of the hub.
OF_NO_HUB: dict[str, Answering] = {
    "a page": lambda _: httpx.Response(200, html="<p>Log in</p>"),
    "nothing": lambda _: httpx.Response(200),
    "another object": lambda _: httpx.Response(200, json={}),
    "an array": lambda _: httpx.Response(200, json=[]),
    "another number": lambda _: httpx.Response(200, json={"next": 6}),
    "another status": lambda _: httpx.Response(200, json={**TOLD, "status": "zzz"}),
    "another topic": lambda _: httpx.Response(200, json={**TOLD, "topic": 1}),
    "created, but what": lambda _: httpx.Response(201, json=TOLD),
    "accepted, but what": lambda _: httpx.Response(202, json=["status"]),
    "a redirect": lambda _: httpx.Response(302, headers={"location": "/login"}),
    "a refusal": lambda _: httpx.Response(403, html="<p>no</p>"),
    "a page for 404": lambda _: httpx.Response(404, html="<p>no</p>"),
    "a page for 409": lambda _: httpx.Response(409, html="<p>no</p>"),
    "a page for 410": lambda _: httpx.Response(410, html="<p>no</p>"),
    "a problem that is no object": lambda _: httpx.Response(
        400, headers={"content-type": "application/problem+json"}, json=[]
    ),
    "bytes that are no gzip": lambda _: httpx.Response(
        200, headers={"content-encoding": "gzip"}, stream=Junk()
    ),
    "an event stream of gzip": lambda _: httpx.Response(
        200,
        headers={"content-encoding": "gzip", "content-type": "text/event-stream"},
        stream=Junk(),
    ),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", OF_NO_HUB)
def test_an_answer_that_is_no_hubs_counts_as_none(
    call: Callable[[HttpHub], Awaitable[Any]], name: str
) -> None:
    with pytest.raises(HubAwayError):
        calling(call, OF_NO_HUB[name])


def test_the_answers_of_a_hub_are_read() -> None:
    def answering(status: int, /, **content: object) -> Answering:
        return lambda _: httpx.Response(status, json=content)

    assert asking(answering(200, **TOLD)) == A_RUN
    assert asking(lambda _: problem(404)) is None
    assert calling(stopping, answering(202, status="done")) is Status.DONE
    assert calling(stopping, lambda _: problem(404)) is None
    assert calling(claiming, answering(200, **TOLD, control="c")) == (A_RUN, None, "c")
    assert calling(claiming, answering(201, **TOLD, control="c", fence=3)) == (A_RUN, 3, "c")
    assert calling(publishing, answering(200, next=7)) is None


@pytest.mark.parametrize(
    ("answer", "error", "number"),
    [
        (problem(410), FencedError, None),
        (problem(409), FencedError, None),
        (problem(403, {"producer-epoch": "9"}), FencedError, None),
        (problem(403), RefusedError, None),
        (problem(413, next=5), RefusedError, 5),
        (problem(400, next="5"), RefusedError, None),
        (problem(409, {"producer-expected-seq": "3"}, next=3), LostUpdatesError, 3),
        (problem(503, next=5), HubAwayError, None),
    ],
)
def test_a_refused_publish_says_whether_the_run_goes_on(
    answer: httpx.Response, error: type[Exception], number: int | None
) -> None:
    with pytest.raises(error) as raised:
        calling(publishing, lambda _: answer)
    assert type(raised.value) is error
    assert getattr(raised.value, "next", None) == number


async def no_token() -> str:
    raise OSError("the token service is down")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("token", [no_token, lambda: 1 // 0, lambda: None])
def test_a_token_function_that_fails_is_asked_again_a_moment_later(
    call: Callable[[HttpHub], Awaitable[Any]], token: Any
) -> None:
    with pytest.raises(HubAwayError, match="the function that returns the token"):
        calling(call, lambda _: problem(401), token)


@pytest.mark.parametrize("call", CALLS)
def test_a_token_that_no_header_can_have_is_refused(
    call: Callable[[HttpHub], Awaitable[Any]],
) -> None:
    with pytest.raises(RefusedError, match="no token has"):
        calling(call, lambda _: problem(401), "é")

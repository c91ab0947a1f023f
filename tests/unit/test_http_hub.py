"""The adapter for HTTP, on a transport in memory."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from barestream.runs import HubAwayError, RefusedError
from barestream.runs.http_hub import HttpHub

URL = "http://hub.test/.well-known/mercure"


def asking(answer: Callable[[httpx.Request], httpx.Response]) -> Any:
    """Ask a hub that answers so for a run; return what it returns."""

    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await HttpHub(URL, "a token", client=client).run("key")

    return asyncio.run(main())


def test_a_client_that_was_given_stays_open() -> None:
    async def main() -> None:
        transport = httpx.MockTransport(lambda _: httpx.Response(404))
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

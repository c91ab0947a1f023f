"""The open streamed publishes are asked to end when the worker, or nginx, stops."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from bareasgi import HttpRequest

from barestream.delivery.streams import StreamLimits, Streams
from barestream.delivery.time_slices import Slices
from barestream.mercure.token_id import TokenId
from barestream.telemetry.metrics import Metrics
from barestream.web.end_streams import EndStreams
from barestream.web.open_publishes import OpenPublishes


async def no_wait() -> bool:
    """Set no pace."""
    return False


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_a_drain_ends_those_that_are_open_and_those_that_come_later() -> None:
    async def work() -> None:
        publishes = OpenPublishes(Metrics(), no_wait)
        with publishes.opened() as first, publishes.opened() as second:
            assert (first.done(), second.done(), len(publishes)) == (False, False, 2)
            await publishes.drain()
            await publishes.drain(quick=True)
            assert (first.done(), second.done()) == (True, True)
            with publishes.opened() as late:
                assert late.done()
        assert len(publishes) == 0

    run(work())


def test_an_nginx_that_stops_ends_those_that_are_open_alone() -> None:
    async def work() -> None:
        metrics = Metrics()
        publishes = OpenPublishes(metrics, no_wait)
        slices = Slices(lambda: 0.0)
        streams = Streams(StreamLimits(), lambda: 0.0, metrics, slices)

        async def sleep(_: float) -> None:
            await asyncio.sleep(0)

        request = HttpRequest({"headers": []}, {}, {}, {}, None)  # type: ignore[typeddict-item, arg-type]
        with publishes.opened() as end:
            assert (await EndStreams(streams, publishes, sleep)(request)).status == 204
            assert end.done()
        with publishes.opened() as later:
            assert not later.done()

    run(work())


def test_only_those_of_revoked_tokens_are_asked_to_end() -> None:
    async def work() -> None:
        publishes = OpenPublishes(Metrics(), no_wait)
        revoked, other = (TokenId(None, jti, None, None, ()) for jti in "ab")
        with (
            publishes.opened(revoked) as first,
            publishes.opened(other) as second,
            publishes.opened() as third,
        ):
            for _again in range(2):
                await publishes.end_revoked(lambda token: token.jti == "a")
                assert (first.done(), second.done(), third.done()) == (True, False, False)

    run(work())

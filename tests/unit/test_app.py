import asyncio
import logging
import signal

import pytest

from barestream.app import create_app
from barestream.history.broker import Page
from barestream.history.local import LocalBroker
from barestream.settings.settings import Settings


def test_a_worker_whose_background_task_fails_ends_so_that_another_replaces_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def newest(*_: object) -> Page:
        raise ZeroDivisionError

    raised: list[int] = []
    monkeypatch.setattr(LocalBroker, "newest", newest)
    monkeypatch.setattr(signal, "raise_signal", raised.append)

    async def main() -> None:
        messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive() -> dict[str, str]:
            for _ in range(10):
                await asyncio.sleep(0)
            return messages.pop(0)

        async def send(_: object) -> None:
            return None

        app = create_app(Settings(workers=1))
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(main())
    assert raised == [signal.SIGTERM]
    assert "a task of the worker failed" in caplog.text

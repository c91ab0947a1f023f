"""A server whose log is checked."""

import logging
from collections.abc import Iterator

import pytest

from barestream.app import create_app
from barestream.settings.settings import Settings
from exchange import HISTORY_EVENTS, Watched
from support.clients.publisher import ISSUER, KEY, RESOURCE


@pytest.fixture(scope="module")
def server() -> Iterator[Watched]:
    """Return a running server."""
    settings = Settings(
        token_key=KEY,
        issuer=ISSUER,
        resource_identifier=RESOURCE,
        data_bytes=10_000,
        history_events=HISTORY_EVENTS,
        ring_events=HISTORY_EVENTS,
        cors_origins="https://shop.example",
        # With a request behind its stream, a client that has left is noticed only by a write.
        heartbeat_seconds=0.1,
    )
    errors: list[str] = []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            errors.append(self.format(record))

    watch = Watch(logging.ERROR)
    logging.getLogger().addHandler(watch)
    with Watched(create_app(settings), errors) as running:
        yield running
    logging.getLogger().removeHandler(watch)

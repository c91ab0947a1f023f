"""Keys that an issuer publishes: read again, kept while it is away."""

import asyncio
import json
import logging

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from barestream.issuers.fetch import NoKeysError
from barestream.issuers.key_sources import (
    FIRST_RETRY_SECONDS,
    LEAST_SECONDS,
    MOST_RETRY_SECONDS,
    REFRESH_SECONDS,
    FetchedKeys,
)
from barestream.telemetry.metrics import Metrics

ISSUER = "https://issuer.example"


def key_set(name: str) -> str:
    public = generate_private_key(SECP256R1()).public_key()
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True)
    return json.dumps({"keys": [{**jwk, "kid": name}]})


class World:
    """An issuer, a clock, and the pauses of its reader."""

    def __init__(self) -> None:
        self.answer: str | Exception = key_set("first")
        self.now = 0.0
        self.fetches = 0
        self.pauses: list[float] = []
        self.metrics = Metrics()
        self.keys = FetchedKeys(ISSUER, "ES256", self.fetch, lambda: self.now, self.metrics)

    def fetch(self) -> str:
        self.fetches += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def refresh(self) -> bool:
        return asyncio.run(self.keys.refresh())

    def run(self, *answers: str | Exception) -> None:
        """Let it read once for each answer."""
        left = [*answers]

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)
            if not left:
                raise asyncio.CancelledError
            self.answer = left.pop(0)

        self.answer = left.pop(0)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(self.keys.run(sleep))

    @property
    def is_current(self) -> bool:
        return f'barestream_issuer_keys_current{{issuer="{ISSUER}"}} 1.0' in (
            self.metrics.text().decode()
        )


def test_keys_are_read_and_equal_ones_stay_one_object() -> None:
    world = World()
    assert world.keys.keys is None
    assert not world.is_current
    assert world.refresh()
    first = world.keys.keys
    assert first is not None
    assert world.is_current
    world.now += LEAST_SECONDS
    assert not world.refresh()
    assert world.keys.keys is first
    world.now += LEAST_SECONDS
    world.answer = key_set("second")
    assert world.refresh()
    assert world.keys.keys is not first


def test_requests_make_it_read_at_most_once_a_minute() -> None:
    world = World()
    world.refresh()
    for _ in range(100):
        world.now += LEAST_SECONDS / 101
        assert not world.refresh()
    assert world.fetches == 1


def test_requests_at_the_same_time_wait_for_one_read() -> None:
    world = World()
    fetch = world.fetch

    def slow() -> str:
        # By the end of the read another one would be due.
        world.now += LEAST_SECONDS
        return fetch()

    world.keys._fetch = slow

    async def ask() -> list[bool]:
        return await asyncio.gather(*(world.keys.refresh() for _ in range(5)))

    assert asyncio.run(ask()) == [True] * 5
    assert world.fetches == 1


FAULTS = [
    NoKeysError("it answers with status 503"),
    "<html>sorry</html>",
    "{}",
    '{"keys": []}',
    '{"keys": [7]}',
    # Anybody can read this secret.
    json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0" * 8}]}),
    "as many bytes as HS256 asks for: 32",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_while_an_issuer_is_away_its_earlier_keys_count(
    fault: str | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world = World()
    world.run(fault, fault, fault)
    assert world.keys.keys is None
    assert not world.is_current
    assert world.pauses == [FIRST_RETRY_SECONDS, 2 * FIRST_RETRY_SECONDS, 4 * FIRST_RETRY_SECONDS]
    world.run(key_set("first"))
    first = world.keys.keys
    assert first is not None
    world.run(fault)
    assert world.keys.keys is first
    world.run(key_set("second"))
    assert world.keys.keys is not first
    assert world.is_current
    told = [record.message for record in caplog.records if record.levelno >= logging.INFO]
    assert told == [
        "the keys of an issuer cannot be read: its tokens are refused",
        "the keys of an issuer were read",
        "the keys of an issuer cannot be read again: the earlier ones count",
        "the keys of an issuer were read",
    ]
    assert all(record.__dict__["issuer"] == ISSUER for record in caplog.records)


def test_the_pause_after_failures_is_bounded_and_reads_are_spread() -> None:
    world = World()
    world.run(*[NoKeysError("away")] * 20)
    assert max(world.pauses) == MOST_RETRY_SECONDS
    world.pauses.clear()
    world.run(*[key_set("first")] * 20)
    assert all(0.8 * REFRESH_SECONDS <= pause <= 1.2 * REFRESH_SECONDS for pause in world.pauses)
    assert len({*world.pauses}) > 1

"""A publisher, as a backend is one: it posts forms with a token."""

import time
from collections.abc import Iterable
from typing import Any

import httpx

from barestream.mercure.access_tokens import sign_access_token
from barestream.mercure.matchers import Matcher
from barestream_client import mint

PATH = "/.well-known/mercure"

# A key for tests alone, as long as HS256 asks for.
KEY = "a key that only the tests sign with"

# The issuer of access tokens, and the hub that they are for.
ISSUER = "https://issuer.example"
RESOURCE = "https://hub.example/.well-known/mercure"


def token(publish: tuple[str, ...] = ("*",), subscribe: tuple[str, ...] = ("*",)) -> str:
    """Return a token under the tests' key."""
    return mint(KEY, publish=publish, subscribe=subscribe, seconds=None)


def access_token(
    *topics: str,
    patterns: Iterable[str] = (),
    seconds: float = 300,
    key: str = KEY,
    **changed: Any,
) -> str:
    """Return an access token that may publish to some topics and read them.

    Not by the client for Python, which makes no token whose claims are wrong.

    Args:
        topics: The topics; ``*`` stands for all.
        patterns: URL Patterns of further topics.
        seconds: How long it is valid.
        key: The issuer's key, for HS256.
        changed: Claims in place of the usual ones.
    """
    claims = {"iss": ISSUER, "aud": RESOURCE, "exp": time.time() + seconds, **changed}
    matchers = [*map(Matcher, topics), *(Matcher(each, "urlpattern") for each in patterns)]
    return sign_access_token(key, "HS256", claims, matchers, matchers)


class Publisher:
    """Posts updates; an asynchronous context.

    It sends what a test names, once, and tells the answer. The client for Python would add an id,
    and send the update again after an error.

    Args:
        url: Where the hub is, without its path.
        bearer: Its token; one under the tests' key where none is given.
    """

    def __init__(self, url: str, bearer: str | None = None) -> None:
        authorization = f"Bearer {bearer or token()}"
        self._client = httpx.AsyncClient(
            base_url=url, headers={"Authorization": authorization}, timeout=30
        )

    async def __aenter__(self) -> "Publisher":
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def post(self, *topics: str, **fields: str) -> httpx.Response:
        """Post an update, and return the answer, whatever it is."""
        return await self._client.post(PATH, data={"topic": list(topics), **fields})

    async def publish(self, *topics: str, **fields: str) -> str:
        """Post an update that must be taken, and return its id."""
        answer = await self.post(*topics, **fields)
        assert answer.status_code == 200, answer.text
        return answer.text

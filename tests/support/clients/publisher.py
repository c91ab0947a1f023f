"""A publisher, as a backend is one: it posts forms with a token."""

import httpx

from barestream.mercure.tokens import sign

PATH = "/.well-known/mercure"

# A key for tests alone, as long as HS256 asks for.
KEY = "a key that only the tests sign with"


def token(publish: tuple[str, ...] = ("*",), subscribe: tuple[str, ...] = ("*",)) -> str:
    """Return a token under the tests' key."""
    return sign(KEY, "HS256", publish, subscribe, None)


class Publisher:
    """Posts updates; an asynchronous context.

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

"""The rights of tokens of both versions: no token reads or publishes what it must not."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from barestream.app import create_app
from barestream.mercure.authorization_details import DETAIL_TYPE
from barestream.settings.settings import Settings
from support.clients.publisher import ISSUER, KEY, PATH, RESOURCE
from support.clients.sse_client import SseClient
from support.servers.served import Served, reading, until

OTHER = "https://other.example"
OTHER_KEY = "the key of another issuer, as long as HS256 asks"
COOKIES = {"0.x": "mercureAuthorization", "1.0": "__Secure-mercure_access_token"}
TOPIC, ELSEWHERE = "https://example.com/books/1", "https://example.com/elsewhere"
OWN = {"Host": "hub.example", "Origin": "http://hub.example"}

Claims = dict[str, Any]


def detail(*topics: str, **changed: Any) -> Claims:
    matchers = [{"match": topic} for topic in topics]
    return {"type": DETAIL_TYPE, "actions": ["publish", "subscribe"], "topics": matchers, **changed}


def of_1(*topics: str, **changed: Any) -> Claims:
    claims = {
        "iss": ISSUER,
        "aud": RESOURCE,
        "exp": time.time() + 300,
        "authorization_details": [detail(*topics)],
        **changed,
    }
    return {name: value for name, value in claims.items() if value is not None}


def of_0(*topics: str, **changed: Any) -> Claims:
    return {"mercure": {"publish": [*topics], "subscribe": [*topics]}, **changed}


def jws(claims: Claims, typ: str | None = "at+jwt", key: str = KEY, alg: str = "HS256") -> str:
    return jwt.api_jws.encode(json.dumps(claims).encode(), key, alg, headers={"typ": typ})


def unsigned(claims: Claims, alg: str) -> str:
    head = json.dumps({"typ": "at+jwt", "alg": alg}).encode()
    parts = (
        jwt.utils.base64url_encode(part).decode() for part in (head, json.dumps(claims).encode())
    )
    return f"{'.'.join(parts)}."


@dataclass
class Case:
    """A token, and the one version in which it is good for TOPIC; None for none."""

    make: Callable[[], str]
    good_in: str | None = None


# Each is made when it is used: times count from then.
CASES = {
    "0.x": Case(lambda: jws(of_0(TOPIC), "JWT"), "0.x"),
    "0.x without typ": Case(lambda: jws(of_0(TOPIC), None), "0.x"),
    "0.x for another topic": Case(lambda: jws(of_0(ELSEWHERE), "JWT")),
    "0.x expired": Case(lambda: jws(of_0(TOPIC, exp=time.time() - 1), "JWT")),
    "0.x with another key": Case(lambda: jws(of_0(TOPIC), "JWT", OTHER_KEY)),
    "0.x with the claims of 1.0 alone": Case(lambda: jws(of_1(TOPIC), "JWT")),
    "0.x with the type of 1.0": Case(lambda: jws(of_0(TOPIC))),
    "1.0": Case(lambda: jws(of_1(TOPIC)), "1.0"),
    "1.0 for several hubs": Case(lambda: jws(of_1(TOPIC, aud=["https://x", RESOURCE])), "1.0"),
    "1.0 with the claims of both": Case(lambda: jws({**of_1(TOPIC), **of_0("*")}), "1.0"),
    "1.0 with rights of 0.x alone": Case(lambda: jws({**of_1(ELSEWHERE), **of_0(TOPIC)})),
    "1.0 of the other issuer": Case(lambda: jws(of_1(TOPIC, iss=OTHER), key=OTHER_KEY), "1.0"),
    "1.0 for another topic": Case(lambda: jws(of_1(ELSEWHERE))),
    "1.0 without iss": Case(lambda: jws(of_1(TOPIC, iss=None))),
    "1.0 of an unknown issuer": Case(lambda: jws(of_1(TOPIC, iss="https://evil.example"))),
    "1.0 with the other issuer's key": Case(lambda: jws(of_1(TOPIC), key=OTHER_KEY)),
    "1.0 of the other issuer with this key": Case(lambda: jws(of_1(TOPIC, iss=OTHER))),
    "1.0 without aud": Case(lambda: jws(of_1(TOPIC, aud=None))),
    "1.0 for another hub": Case(lambda: jws(of_1(TOPIC, aud="https://x.example"))),
    "1.0 without exp": Case(lambda: jws(of_1(TOPIC, exp=None))),
    "1.0 expired": Case(lambda: jws(of_1(TOPIC, exp=time.time() - 1))),
    "1.0 with a text as exp": Case(lambda: jws(of_1(TOPIC, exp="never"))),
    "1.0 not valid yet": Case(lambda: jws(of_1(TOPIC, nbf=time.time() + 60))),
    "1.0 without details": Case(lambda: jws(of_1(authorization_details=None))),
    "1.0 with one bad detail": Case(
        lambda: jws(of_1(authorization_details=[detail(TOPIC), detail("a", topics=["a"])]))
    ),
    "1.0 with an unknown matcher": Case(
        lambda: jws(
            of_1(authorization_details=[detail(topics=[{"match": TOPIC, "match_type": "x"}])])
        )
    ),
    "1.0 with an unknown action": Case(
        lambda: jws(of_1(authorization_details=[detail(TOPIC, actions=["delete"])]))
    ),
    "1.0 with a detail of another type": Case(
        lambda: jws(of_1(authorization_details=[detail(TOPIC, type="payment")]))
    ),
    "1.0 oversized": Case(lambda: jws(of_1(TOPIC, x="y" * 25_000))),
    "1.0 without a signature": Case(lambda: unsigned(of_1(TOPIC), "none")),
    "1.0 with an empty signature": Case(lambda: unsigned(of_1(TOPIC), "HS256")),
    "1.0 with another algorithm": Case(lambda: jws(of_1(TOPIC), key=KEY * 2, alg="HS384")),
    "not a token": Case(lambda: "a.b.c"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path: Path = tmp_path_factory.mktemp("issuers") / "issuers.toml"
    path.write_text(f'[[issuer]]\nid = "{OTHER}"\nalgorithm = "HS256"\nkey = "{OTHER_KEY}"\n')
    settings = Settings(token_key=KEY, issuer=ISSUER, issuers=path, resource_identifier=RESOURCE)
    with Served(create_app(settings), ours=True) as server:
        yield server


def carriers(bearer: str) -> Iterator[tuple[str | None, dict[str, str]]]:
    """Yield each way to send a token, with the version that alone reads it there."""
    yield None, {"Authorization": f"Bearer {bearer}"}
    for version, name in COOKIES.items():
        yield version, {"Cookie": f"{name}={bearer}"}


def post(server: Served, headers: dict[str, str], **fields: str) -> httpx.Response:
    return httpx.post(
        server.url + PATH, data={"topic": TOPIC, **fields}, headers={**OWN, **headers}
    )


@pytest.mark.parametrize("name", CASES)
def test_a_token_publishes_only_in_the_version_in_which_it_is_good(
    server: Served, name: str
) -> None:
    case = CASES[name]

    async def act() -> tuple[set[str], set[str]]:
        allowed = set()
        async with reading(everything := SseClient(server.address, f"{PATH}?topic=*")):
            for number, (read_by, headers) in enumerate(carriers(case.make())):
                data = f"{number}"
                answer = await asyncio.to_thread(post, server, headers, data=data)
                assert answer.status_code in {200, 401, 403}
                assert (answer.status_code == 200) is (
                    case.good_in is not None and read_by in {None, case.good_in}
                )
                if answer.status_code == 200:
                    allowed.add(data)
            good = {"Authorization": f"Bearer {jws(of_1(TOPIC))}"}
            await asyncio.to_thread(post, server, good, data="last")
            await until(lambda: everything.events and everything.events[-1].data == "last")
            return allowed, {event.data for event in everything.events} - {"last"}

    allowed, sent = asyncio.run(act())
    assert sent == allowed


@pytest.mark.parametrize("name", CASES)
def test_a_token_reads_only_in_the_version_in_which_it_is_good(server: Served, name: str) -> None:
    case = CASES[name]

    async def act() -> None:
        asked = [
            (version, read_by, SseClient(server.address, f"{PATH}?{parameter}=*", headers))
            for version, parameter in (("0.x", "topic"), ("1.0", "match"))
            for read_by, headers in carriers(case.make())
        ]
        refused = []
        async with reading(*(client for _, _, client in asked)):
            good = {"Authorization": f"Bearer {jws(of_1(TOPIC))}"}
            await asyncio.to_thread(post, server, good, data="secret", private="on")
            await asyncio.to_thread(post, server, good, data="last")
            for version, read_by, client in asked:
                if client.status != 200:
                    assert client.status == 401
                    refused.append(client)
                    continue
                await until(
                    lambda client=client: client.events[-1:] and (client.events[-1].data == "last")
                )
                got = {event.data for event in client.events}
                may = version == case.good_in and read_by in {None, version}
                assert got == ({"secret", "last"} if may else {"last"})
        assert all(client.events == [] for client in refused)

    asyncio.run(act())


@pytest.mark.parametrize("good", ["0.x", "1.0"])
def test_of_both_cookies_each_version_reads_its_own(server: Served, good: str) -> None:
    tokens = {
        "0.x": jws(of_0(TOPIC if good == "0.x" else ELSEWHERE), "JWT"),
        "1.0": jws(of_1(TOPIC if good == "1.0" else ELSEWHERE)),
    }
    cookie = "; ".join(f"{COOKIES[version]}={token}" for version, token in tokens.items())
    # Of a publish with both, that of 1.0 counts.
    assert post(server, {"Cookie": cookie}).status_code == (200 if good == "1.0" else 403)

    async def act() -> dict[str, set[str]]:
        clients = {
            version: SseClient(server.address, f"{PATH}?{parameter}=*", {"Cookie": cookie})
            for version, parameter in (("0.x", "topic"), ("1.0", "match"))
        }
        async with reading(*clients.values()):
            bearer = {"Authorization": f"Bearer {jws(of_1(TOPIC))}"}
            await asyncio.to_thread(post, server, bearer, data="secret", private="on")
            await asyncio.to_thread(post, server, bearer, data="last")
            for client in clients.values():
                await until(
                    lambda client=client: client.events[-1:] and (client.events[-1].data == "last")
                )
            return {
                version: {event.data for event in client.events}
                for version, client in clients.items()
            }

    got = asyncio.run(act())
    other = "1.0" if good == "0.x" else "0.x"
    assert got == {good: {"secret", "last"}, other: {"last"}}

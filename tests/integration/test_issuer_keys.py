"""Keys of a real issuer over HTTP: what a fetch accepts, and a hub whose issuer changes them."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from barestream.app import create_app
from barestream.issuers import fetch as fetching
from barestream.issuers.fetch import NoKeysError, fetch
from barestream.settings.settings import Settings
from support.clients.publisher import ISSUER, KEY, PATH, RESOURCE, token
from support.servers.issuer import Issuer, running_issuer
from support.servers.served import Served
from support.servers.service import wait_for


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


def test_a_fetch_returns_the_text(issuer: Issuer) -> None:
    issuer.add("a")
    assert fetch(issuer.url) == issuer.document().decode()


@pytest.mark.parametrize(
    ("mood", "told"),
    [
        ("error", "status 503"),
        ("redirect", "status 302"),
        ("large", "larger than"),
        ("slow", "no whole answer came within 0.5 s"),
        ("not utf-8", "not UTF-8"),
    ],
)
def test_a_fetch_accepts_only_a_whole_answer_of_bounded_size_in_time(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, mood: str, told: str
) -> None:
    monkeypatch.setattr(fetching, "ANSWER_SECONDS", 0.5)
    issuer.mood = mood
    with pytest.raises(NoKeysError, match=told):
        fetch(issuer.url)


def test_an_issuer_that_is_not_there_is_named_as_the_cause() -> None:
    with running_issuer() as gone:
        url = gone.url
    with pytest.raises(NoKeysError, match="ConnectionRefusedError"):
        fetch(url)


def test_an_address_that_cannot_be_encoded_is_no_answer() -> None:
    with pytest.raises(NoKeysError, match="Unicode"):
        fetch("http://a..b/")


def test_a_hub_follows_its_issuers_keys_and_an_issuer_away_costs_only_its_own_tokens(
    issuer: Issuer, tmp_path: Path
) -> None:
    issuer.add("first")
    issuer.mood = "error"
    path = tmp_path / "issuers.toml"
    path.write_text(f'[[issuer]]\nid = "{ISSUER}"\njwks_uri = "{issuer.url}"\n')
    settings = Settings(token_key=KEY, issuers=path, resource_identifier=RESOURCE)

    def status(server: Served, bearer: str) -> int:
        headers = {"Authorization": f"Bearer {bearer}"}
        return httpx.post(server.url + PATH, data={"topic": "a"}, headers=headers).status_code

    with Served(create_app(settings), ours=True) as server:
        wait_for("a read", lambda: issuer.asked)
        assert status(server, issuer.token("first")) == 401
        assert status(server, token()) == 200
        # It heals by itself.
        issuer.mood = "well"
        wait_for("the keys", lambda: status(server, issuer.token("first")) == 200)
        figures = httpx.get(f"{server.url}/metrics").text
        assert f'barestream_issuer_keys_current{{issuer="{ISSUER}"}} 1.0' in figures
        # Within a minute of the last read no request makes the hub ask again.
        asked = issuer.asked
        issuer.add("second")
        for _ in range(20):
            assert status(server, issuer.token("second")) == 401
        assert issuer.asked == asked
        assert status(server, issuer.token("first")) == 200

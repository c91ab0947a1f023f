"""``barestream revoke``, as an operator runs it."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from barestream.app import create_app
from barestream.cli import main
from barestream.settings.settings import Settings
from support.clients.operator import bearing, claiming, sha256
from support.clients.publisher import KEY, PATH
from support.servers.served import Served
from support.servers.service import free_port, wait_for


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARESTREAM_TOKEN_KEY", KEY)
    monkeypatch.setenv("BARESTREAM_WORKERS", "1")


def command(*arguments: str, given: str = "", token: str | None = None) -> Result:
    """Run the command, with a key that signs the operator's token where none is given."""
    environment = {} if token is None else {"BARESTREAM_TOKEN": token}
    result = CliRunner().invoke(main, arguments, input=given, env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture(scope="module")
def hub() -> Iterator[Served]:
    with Served(create_app(Settings(token_key=KEY, revocations=3)), ours=True) as served:
        wait_for("the hub", lambda: httpx.get(f"{served.url}/readyz").is_success)
        yield served


def told(done: Result) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def publish_status(hub: Served, token: str) -> int:
    return httpx.post(f"{hub.url}{PATH}", data={"topic": "t"}, headers=bearing(token)).status_code


def test_tokens_are_revoked_listed_and_taken_back(hub: Served) -> None:
    victim = claiming(jti="1")
    [of_digest] = told(command("revoke", hub.url, "--sha256-of", "-", given=f"{victim}\n"))
    assert of_digest["sha256"] == sha256(victim)
    assert publish_status(hub, victim) == 401
    # Its holder has added what a reader of base64 skips.
    [again] = told(command("revoke", hub.url, "--sha256-of", f"{victim[:-1]}!{victim[-1]}="))
    assert again["id"] == of_digest["id"]
    until = ["--until", "2100-01-31T12:00:00+01:00", "--issued-before", "1700000000.5"]
    issuer = ["--issuer", "https://login.example"]
    [of_sub] = told(command("revoke", f"{hub.url}{PATH}", *issuer, "--sub", "alice", *until))
    assert (of_sub["until"], of_sub["issued_before"]) == (4105076400, 1700000000.5)
    assert sorted(each["id"] for each in told(command("revoke", hub.url, "--list"))) == sorted(
        [of_digest["id"], of_sub["id"]]
    )
    # A token that the other command made, and that the environment has.
    made = command("token", "--operate", "--minutes", "5").stdout.strip()
    [of_jti] = told(command("revoke", hub.url, "--jti", "9", token=made))
    full = command("revoke", hub.url, "--jti", "10")
    assert (full.exit_code, full.stderr.partition(":")[0]) == (6, "507 Insufficient Storage")
    for each in (of_digest, of_sub, of_jti):
        assert told(command("revoke", hub.url, "--take-back", each["id"])) == []
    again = command("revoke", hub.url, "--take-back", of_jti["id"])
    assert (again.exit_code, "404" in again.stderr) == (6, True)
    assert publish_status(hub, victim) == 200


def test_what_the_hub_refuses_has_an_exit_code_of_its_own(hub: Served) -> None:
    past = str(time.time() - 5)
    for done, why, code in (
        (command("revoke", hub.url, "--jti", "1", "--until", past), "400 ", 6),
        (command("revoke", hub.url, "--jti", "1", "--token", claiming()), "403 ", 5),
        (command("revoke", hub.url, "--list", "--token", "none"), "401 ", 5),
    ):
        assert done.exit_code == code
        assert done.stderr.startswith(why)
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--issuer", "https://a.example"],
        ["--jti", "1", "--list"],
        ["--take-back", "1", "--until", "5"],
        ["--jti", "1", "--until", "tomorrow"],
        ["--jti", "1", "--until", "2100-01-31T12:00:00"],
        ["--sha256", "aa", "--sha256-of", "a.b.c"],
        ["--sha256-of", "bb"],
        ["--sha256-of", "-"],
        ["--jti", "1", "--token", "é"],
    ],
)
def test_a_wrong_use_has_the_exit_code_2(arguments: list[str]) -> None:
    assert command("revoke", "http://127.0.0.1:9", *arguments).exit_code == 2


def test_a_hub_that_cannot_be_asked_has_the_exit_code_4_and_a_url_of_none_3() -> None:
    done = command("revoke", f"http://127.0.0.1:{free_port()}", "--jti", "1")
    assert (done.exit_code, len(done.stderr.splitlines())) == (4, 1)
    for url in ("ftp://127.0.0.1", "http://[", "http://127.0.0.1:0", "http://a b", "127.0.0.1"):
        assert command("revoke", url, "--jti", "1").exit_code == 3

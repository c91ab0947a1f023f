"""``barestream token``: tokens of both versions, and what one allows."""

import re
import time
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result

from barestream.cli import main
from barestream.issuers.key_sources import StaticKeys
from barestream.mercure.access_tokens import AccessVerifier
from barestream.mercure.patterns import Patterns
from barestream.mercure.signatures import Keys, unverified
from barestream.mercure.topics import HubUrl

KEY = "as many bytes as HS256 asks for: 32"
ISSUER = "https://issuer.example"
RESOURCE = "https://hub.example/.well-known/mercure"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARESTREAM_WORKERS", "1")
    monkeypatch.setenv("BARESTREAM_TOKEN_KEY", KEY)
    monkeypatch.setenv("BARESTREAM_ISSUER", ISSUER)
    monkeypatch.setenv("BARESTREAM_RESOURCE_IDENTIFIER", RESOURCE)


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["token", *arguments], input=given)


def made(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_an_access_token_has_every_claim_that_a_hub_may_ask_for() -> None:
    token = made("--protocol", "1.0", "--publish", "a", "--subscribe-pattern", "/b/:c")
    header, claims = unverified(token)
    assert header == {"typ": "at+jwt", "alg": "HS256"}
    assert set(claims) == {
        *("iss", "aud", "sub", "client_id", "iat", "exp", "jti", "authorization_details")
    }
    assert claims["iss"] == claims["sub"] == claims["client_id"] == ISSUER
    assert claims["aud"] == RESOURCE
    assert claims["exp"] - claims["iat"] == 3600
    patterns = Patterns(HubUrl(RESOURCE), 10)
    sources = {ISSUER: StaticKeys(Keys(KEY, "HS256"))}
    bearer = AccessVerifier(sources, patterns, time.time).verify(token, RESOURCE)
    assert (list(bearer.publish), list(bearer.subscribe)) == (["a"], ["/b/:c"])


def test_the_options_choose_the_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--issuer", "i", "--audience", "a", "--subject", "s", "--client-id", "c"]
    _, claims = unverified(made("--protocol", "1.0", "--minutes", "5", *options))
    assert [claims[name] for name in ("iss", "aud", "sub", "client_id")] == ["i", "a", "s", "c"]
    assert claims["exp"] - claims["iat"] == 300
    monkeypatch.delenv("BARESTREAM_RESOURCE_IDENTIFIER")
    monkeypatch.setenv("BARESTREAM_PUBLIC_URLS", "https://live.example, https://b.example")
    _, claims = unverified(made("--protocol", "1.0"))
    assert claims["aud"] == "https://live.example/.well-known/mercure"


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("BARESTREAM_ISSUER", "give --issuer, or set BARESTREAM_ISSUER"),
        ("BARESTREAM_RESOURCE_IDENTIFIER", "give --audience, or set BARESTREAM_RESOURCE_IDENTIF"),
        ("BARESTREAM_TOKEN_KEY", "set BARESTREAM_TOKEN_KEY, or give --key-file"),
    ],
)
def test_what_an_access_token_lacks_is_said(
    monkeypatch: pytest.MonkeyPatch, variable: str, told: str
) -> None:
    monkeypatch.delenv(variable)
    result = run("--protocol", "1.0", "--publish", "a")
    assert result.exit_code == 1
    assert told in result.output


@pytest.mark.parametrize("option", ["--publish-pattern", "--audience", "--client-id"])
def test_the_options_of_1_0_need_that_protocol(option: str) -> None:
    result = run(option, "/a/:b")
    assert result.exit_code == 2
    assert "add --protocol 1.0" in result.output


def test_no_token_is_made_that_the_hub_would_refuse_for_its_topics() -> None:
    result = run("--protocol", "1.0", "--publish-pattern", "(")
    assert result.exit_code == 2
    assert "has no end" in result.output


def test_no_token_is_made_that_the_hub_would_refuse_for_its_size() -> None:
    patterns = [f"/{number}/:x" for number in range(30)]
    options = [part for each in patterns for part in ("--publish-pattern", each)]
    options += [part for each in patterns for part in ("--subscribe-pattern", each)]
    many = run("--protocol", "1.0", *options)
    assert (many.exit_code, "more than 50 URL Patterns" in many.output) == (2, True)
    long = [part for n in range(20) for part in ("--publish", f"{n}" + "x" * 2000)]
    large = run("--protocol", "1.0", *long)
    assert (large.exit_code, "characters; at most" in large.output) == (2, True)


def test_claims_that_nobody_checked_are_shown_without_control_characters() -> None:
    token = jwt.encode({"iss": "a\x1b[31m\ud800", "exp": "\x1b"}, KEY, "HS256")
    output = run("--explain", token).output
    assert 'iss: "a\\u001b[31m\\ud800"\nexp: "\\u001b" (not a time)\n' in output


def test_a_token_is_explained() -> None:
    token = made("--protocol", "1.0", "--publish", "a", "--publish", "b", "--subscribe", "*")
    explained = run("--explain", token)
    assert explained.exit_code == 0
    assert "version: 1.0\ntyp: at+jwt\nalg: HS256\n" in explained.output
    assert f"iss: {ISSUER}\naud: {RESOURCE}\n" in explained.output
    assert re.search(r"exp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(in 3\d{3} s\)", explained.output)
    assert "may publish to: a, b\nmay read: *\n" in explained.output
    assert run("--explain", "-", given=f"{token}\n").output == explained.output


def test_an_access_token_that_grants_nothing_is_explained() -> None:
    explained = run("--explain", made("--protocol", "1.0", "--publish", "a"))
    assert "may read: nothing: it has no detail of the type https://" in explained.output


def test_a_token_of_0_x_is_explained() -> None:
    explained = run("--explain", made("--publish", "a/{b}"))
    assert explained.exit_code == 0
    assert "version: 0.x\ntyp: JWT\n" in explained.output
    assert (
        "may publish to: a/{b}\nmay read: nothing: its claim mercure has no list"
        in explained.output
    )


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("BARESTREAM_TOKEN_KEY", "another key of as many bytes as asked", "signature"),
        ("BARESTREAM_ISSUER", "https://other.example", "iss is not one of"),
        ("BARESTREAM_ISSUER", "", "Neither BARESTREAM_ISSUER nor BARESTREAM_ISSUERS is set"),
        ("BARESTREAM_RESOURCE_IDENTIFIER", "https://x.example/", "aud is not https://x.example/"),
        ("BARESTREAM_RESOURCE_IDENTIFIER", "", "Neither BARESTREAM_RESOURCE_IDENTIFIER nor"),
        ("BARESTREAM_PROTOCOLS", "0.x", "tokens of Mercure 1.0 are off"),
    ],
)
def test_why_a_token_is_refused_is_said(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    token = made("--protocol", "1.0", "--publish", "a")
    monkeypatch.setenv(variable, value)
    explained = run("--explain", token)
    assert explained.exit_code == 1
    assert told in explained.output


def test_an_issuer_without_a_key_for_one_use_is_not_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = made("--protocol", "1.0", "--publish", "a")
    issuers = tmp_path / "issuers.toml"
    issuers.write_text(
        f'[[issuer]]\nid = "{ISSUER}"\nalgorithm = "HS256"\nkey = "{KEY}"\nroles = ["publish"]\n'
    )
    monkeypatch.delenv("BARESTREAM_ISSUER")
    monkeypatch.setenv("BARESTREAM_ISSUERS", str(issuers))
    explained = run("--explain", token)
    assert explained.exit_code == 0
    assert "may publish to: a\n" in explained.output
    assert (
        "Neither BARESTREAM_ISSUER nor BARESTREAM_ISSUERS has a key for this." in explained.output
    )


@pytest.mark.parametrize("text", ["", "a.b.c", "é"])
def test_a_text_that_is_no_token_is_not_explained(text: str) -> None:
    explained = run("--explain", text)
    assert explained.exit_code == 1
    assert "The token is not a JWT." in explained.output


@pytest.mark.parametrize("protocol", ["0.x", "1.0"])
def test_a_key_in_der_is_told_how_to_become_pem(tmp_path: Path, protocol: str) -> None:
    key = tmp_path / "key.der"
    # How the DER of each EC key in PKCS #8 begins; UTF-8 has no such byte there.
    key.write_bytes(b"\x30\x81\x87\x02\x01\x00")
    result = run("--protocol", protocol, "--publish", "a", "--key-file", str(key))
    assert result.exit_code == 1
    assert f"openssl pkey -inform der -in {key} -out key.pem" in result.output


@pytest.mark.parametrize("protocol", ["0.x", "1.0"])
def test_a_token_for_an_operator_is_one_for_nothing_else(protocol: str) -> None:
    token = made("--protocol", protocol, "--operate")
    told = run("--explain", token).output
    assert "may operate: it may revoke tokens" in told
    assert "may publish to: nothing" in told
    token = made("--protocol", protocol, "--publish", "*", "--subscribe", "*")
    assert "operate" not in run("--explain", token).output

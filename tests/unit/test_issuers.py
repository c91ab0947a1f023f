"""The file of issuers."""

import json
from pathlib import Path

import pytest

from barestream.settings.issuers import InvalidIssuersError, read_issuers
from barestream.settings.setting import SettingsError
from barestream.settings.settings import load

SECRET = "s" * 32


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "issuers.toml"
    path.write_text(text)
    return path


def test_issuers_have_a_key_a_file_with_one_or_an_address(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/b").write_text(f"{SECRET}\n")
    path = written(
        tmp_path,
        f"""
        [[issuer]]
        id = "https://a.example"
        key = "{SECRET}"
        algorithm = "HS256"
        roles = ["publish"]

        [[issuer]]
        id = "https://b.example"
        key_file = "keys/b"
        algorithm = "HS256"

        [[issuer]]
        id = "https://c.example"
        jwks_uri = "https://c.example/jwks.json"
        advertise = true

        [[issuer]]
        id = "https://a.example"
        jwks_uri = "http://127.0.0.1:8080/jwks"
        roles = ["subscribe"]
        """,
    )
    a, b, c, subscribers_of_a = read_issuers(path)
    assert a.key is not None
    assert b.key is not None
    assert a.key.get_secret_value() == b.key.get_secret_value() == SECRET
    assert (a.roles, b.roles) == (["publish"], ("publish", "subscribe"))
    assert (c.jwks_uri, c.advertise, c.algorithm) == ("https://c.example/jwks.json", True, "RS256")
    assert subscribers_of_a.jwks_uri == "http://127.0.0.1:8080/jwks"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected tables [[issuer]]"),
        ("x = 1", "expected tables [[issuer]]"),
        ("[issuer]\nid = 'a'", "expected tables [[issuer]]"),
        ("[[issuer", "cannot be read"),
        ("[[issuer]]\nkey = 'x'", "issuer 1: id: expected the iss"),
        ("[[issuer]]\nid = ''\nkey = 'x'", "issuer 1: id: expected the iss"),
        ("[[issuer]]\nid = 7", "issuer 1: id: expected the iss"),
        ("[[issuer]]\nid = 'a'", "exactly one of key, key_file and jwks_uri"),
        ("[[issuer]]\nid = 'a'\nkey = 'x'\nkey_file = 'y'", "exactly one of"),
        ("[[issuer]]\nid = 'a'\nkey = 'x'\nalgorithm = 'none'", "algorithm: expected one of HS"),
        ("[[issuer]]\nid = 'a'\nkey = 'short'\nalgorithm = 'HS256'", "issuer 1: key: it is 5"),
        ("[[issuer]]\nid = 'a'\nkey_file = 'none'", "key_file: expected the path of a readable"),
        ("[[issuer]]\nid = 'a'\njwks_uri = 'http://a.example/'", "expected an https URI"),
        ("[[issuer]]\nid = 'a'\njwks_uri = 'http://127.0.0.1.evil.example/'", "an https URI"),
        ("[[issuer]]\nid = 'a'\njwks_uri = 'http://127.0.0.1@evil.example/'", "an https URI"),
        ("[[issuer]]\nid = 'a'\njwks_uri = 'file:///etc/passwd'", "expected an https URI"),
        ("[[issuer]]\nid = 'a'\njwks_uri = 'https://a'\nroles = ['admin']", "roles: expected an"),
        ("[[issuer]]\nid = 'a'\njwks_uri = 'https://a'\nroles = []", "roles: expected an"),
        ("[[issuer]]\nid = 'a'\njwks_uri = 'https://a/kéys'", "expected an https URI"),
        ("[[issuer]]\nid = 'a'\njwks_uri = 'https://a'\nadvertise = 'no'", "true or false"),
        ("[[issuer]]\nid = 'a'\njwks = 'https://a'", "jwks: expected only id, algorithm"),
        ("[[issuer]]\nid = 'a'\njwks_uri = 'https://a'\n" * 2, "two entries are for a"),
    ],
)
def test_a_wrong_file_is_refused_with_the_entry_and_the_reason(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(InvalidIssuersError) as raised:
        read_issuers(written(tmp_path, text))
    assert told in str(raised.value)


def test_the_settings_name_the_file_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "[[issuer]]\nid = 'a'")
    monkeypatch.setenv("BARESTREAM_ISSUERS", str(path))
    monkeypatch.setenv("BARESTREAM_WORKERS", "1")
    with pytest.raises(SettingsError, match=r"BARESTREAM_ISSUERS='.*': expected .*issuer 1"):
        load()
    written(tmp_path, f"[[issuer]]\nid = 'a'\nalgorithm = 'HS256'\nkey = '{SECRET}'")
    assert load().issuers == path
    monkeypatch.setenv("BARESTREAM_ISSUER", "a")
    with pytest.raises(SettingsError, match="BARESTREAM_ISSUER='a': expected an issuer that is"):
        load()


def test_issuers_turn_publishing_on_and_need_one_worker_without_valkey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"[[issuer]]\nid = 'a'\nalgorithm = 'HS256'\nkey = {json.dumps(SECRET)}"
    monkeypatch.setenv("BARESTREAM_ISSUERS", str(written(tmp_path, text)))
    with pytest.raises(SettingsError, match="BARESTREAM_WORKERS=2: expected 1"):
        load()

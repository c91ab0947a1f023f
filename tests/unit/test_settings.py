import os
import re
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from barestream.cli import main
from barestream.mercure.tokens import Verifier
from barestream.settings.doubts import unknown
from barestream.settings.setting import SettingsError
from barestream.settings.settings import load, of_nginx
from barestream.settings.table import TABLES, Row, rows

ROOT = Path(__file__).parents[2]
COMPOSE_FILES = ("docker-compose.yml", "deploy/tls.yml")

KEY = "as many bytes as HS256 asks for: 32"


def all_rows() -> list[Row]:
    return [row for settings in TABLES.values() for row in rows(settings)]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in all_rows():
        for variable in (row.variable, f"{row.variable}_FILE"):
            monkeypatch.delenv(variable, raising=False)


def test_without_variables_every_setting_has_its_default() -> None:
    assert load().clock_seconds == 1
    assert load().workers == 2


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("BARESTREAM_CLOCK_SECONDS", "abc", "a whole number of seconds from 1 to 86400"),
        ("BARESTREAM_CLOCK_SECONDS", "0", "a whole number of seconds from 1 to 86400"),
        ("BARESTREAM_CLOCK_SECONDS", "1.5", "a whole number of seconds from 1 to 86400"),
        ("BARESTREAM_WORKERS", "65", "a whole number from 1 to 64"),
        ("BARESTREAM_HEARTBEAT_SECONDS", "nan", "a number of seconds from 0.1 to 30"),
        ("BARESTREAM_LOG_LEVEL", "loud", "debug, info, warning or error"),
        ("BARESTREAM_INSTANCE", "current", "1 to 32 letters, digits, - and _"),
        ("BARESTREAM_INSTANCE", "../x", "1 to 32 letters, digits, - and _"),
        ("BARESTREAM_BIND", "9009", "host:port"),
        ("BARESTREAM_BIND", "127.0.0.1:99999", "the port from 1 to 65535"),
        ("BARESTREAM_SOCKET_DIR", "relative", "an absolute path"),
        ("BARESTREAM_SOCKET_DIR", "/" + "x" * 60, "at most 60 bytes"),
        ("BARESTREAM_TOKEN_ALGORITHM", "none", "one of HS256, HS384"),
        ("BARESTREAM_ANONYMOUS", "perhaps", "true or false"),
        ("BARESTREAM_PROTOCOLS", "2.0", "0.x or 1.0"),
        ("BARESTREAM_PROTOCOLS", ",", "0.x or 1.0"),
        ("BARESTREAM_ISSUER", "a b", "text without spaces"),
        ("BARESTREAM_RESOURCE_IDENTIFIER", "example.com", "the hub's public URL"),
        ("BARESTREAM_RESOURCE_IDENTIFIER", "https://a.example/#x", "the hub's public URL"),
        ("BARESTREAM_RESOURCE_IDENTIFIER", "https://a.example/?x", "the hub's public URL"),
        ("BARESTREAM_RESOURCE_IDENTIFIER", "https://a.example:99999/", "the hub's public URL"),
        ("BARESTREAM_RESOURCE_IDENTIFIER", "https:a.example", "the hub's public URL"),
        ("BARESTREAM_RESOURCE_IDENTIFIER", "https:///a.example/x", "the hub's public URL"),
        ("BARESTREAM_RESOURCE_IDENTIFIER", "https://u:p@a.example/", "the hub's public URL"),
        ("BARESTREAM_PUBLIC_URLS", "https://a.example:443", "names the default port"),
        ("BARESTREAM_PUBLIC_URLS", "https://a.example:99999", "such as https://example.com"),
        ("BARESTREAM_PUBLIC_URLS", "ftp://a.example", "is not a URL of HTTP"),
        ("BARESTREAM_PUBLIC_URLS", "https://a.example/", "remove the slash at its end"),
        ("BARESTREAM_ACCESS_TOKEN_COOKIE", "mercureAuthorization", "the name of a cookie"),
        ("BARESTREAM_ACCESS_TOKEN_COOKIE", "a b", "the name of a cookie"),
        ("BARESTREAM_TOKEN_STREAM_SECONDS", "0.5", "0 or from 1 to"),
        ("BARESTREAM_CORS_ORIGINS", "example.com", "such as https://example.com"),
        ("BARESTREAM_CORS_ORIGINS", "https://a.example/path", "such as https://example.com"),
        (
            "BARESTREAM_CORS_ORIGINS",
            "https://a.example,https://b.example/",
            "('https://b.example/' is not an origin; remove the slash at its end)",
        ),
        (
            "BARESTREAM_CORS_ORIGINS",
            "https://a.example:443",
            "('https://a.example:443' names the default port, which browsers leave out; remove it)",
        ),
        ("BARESTREAM_BIND", "::1:9009", "host:port"),
        ("BARESTREAM_PORT", "tcp://10.0.0.1", "a port from 1 to 65535"),
        ("BARESTREAM_TRUSTED_PROXIES", "10.0.0.1/8", "such as 10.0.0.0/8"),
        ("BARESTREAM_HISTORY_SECONDS", "0", "a number of seconds from 1 to 31536000"),
    ],
)
def test_a_bad_setting_is_named_with_its_value_and_the_expected_form(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load()
    assert f"{variable}={value!r}: expected " in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.example",
        "http://my_host:3000",
        "http://[::1]:3000",
        "http://[2001:db8::1]",
        "capacitor://localhost",
        "ionic://localhost",
    ],
)
def test_an_origin_is_what_a_browser_or_a_web_view_sends(
    monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    monkeypatch.setenv("BARESTREAM_CORS_ORIGINS", origin)
    assert load().allowed_origins == [origin]


def test_the_variables_that_kubernetes_sets_for_a_service_named_barestream_do_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_by_kubernetes = {
        "BARESTREAM_PORT": "tcp://10.96.0.7:80",
        "BARESTREAM_PORT_80_TCP": "tcp://10.96.0.7:80",
        "BARESTREAM_PORT_80_TCP_ADDR": "10.96.0.7",
        "BARESTREAM_PORT_80_TCP_PORT": "80",
        "BARESTREAM_PORT_80_TCP_PROTO": "tcp",
        "BARESTREAM_SERVICE_HOST": "10.96.0.7",
        "BARESTREAM_SERVICE_PORT": "80",
        "BARESTREAM_SERVICE_PORT_HTTP": "80",
        # Of Services that are named barestream-tls and barestream-valkey.
        "BARESTREAM_TLS_PORT": "tcp://10.96.0.8:8443",
        "BARESTREAM_TLS_PORT_8443_TCP": "tcp://10.96.0.8:8443",
        "BARESTREAM_TLS_SERVICE_HOST": "10.96.0.8",
        "BARESTREAM_VALKEY_PORT": "tcp://10.96.0.9:6379",
        "BARESTREAM_VALKEY_SERVICE_PORT": "6379",
    }
    for variable, value in set_by_kubernetes.items():
        monkeypatch.setenv(variable, value)
    assert (load().port, load().tls_port) == (80, 443)
    assert [*unknown(set_by_kubernetes)] == []


def test_an_ipv6_address_is_bound_with_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARESTREAM_BIND", "[::1]:9009")
    assert load().bind == "[::1]:9009"


def test_each_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARESTREAM_WORKERS", "many")
    monkeypatch.setenv("BARESTREAM_RETRY_MS", "soon")
    with pytest.raises(SettingsError, match=r"(?s)WORKERS.*RETRY_MS"):
        load()


def test_a_variable_that_is_not_in_utf_8_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(os.environ, "BARESTREAM_TOKEN_KEY", os.fsdecode(b"f\xfcr" + b"0" * 32))
    with pytest.raises(SettingsError, match=r"^BARESTREAM_TOKEN_KEY: expected text in UTF-8$"):
        load()


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARESTREAM_CLOCK_SECONDS", "")
    assert load().clock_seconds == 1


@pytest.mark.parametrize(
    "url",
    [
        "valkey",
        "http://host",
        "redis://",
        "redis://:hush@:6379",
        "redis://h:hush",
        "unix://",
        "redis://h/0?x=1",
    ],
)
def test_a_bad_address_of_the_broker_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("BARESTREAM_BROKER_URL", url)
    with pytest.raises(SettingsError, match="BARESTREAM_BROKER_URL") as caught:
        load()
    assert "(a secret): expected local, or the URL of a Valkey: redis://[" in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("ssl_ca_certs=/nowhere", "ssl_ca_certs=/nowhere: expected a readable file with "),
        ("ssl_ca_certs=/etc/hostname", "ssl_ca_certs=/etc/hostname: expected a readable file"),
        ("ssl_certfile=/nowhere", "ssl_certfile=/nowhere, ssl_keyfile=/nowhere: expected "),
        ("ssl_keyfile=/nowhere", "ssl_keyfile needs ssl_certfile"),
    ],
)
def test_a_file_of_certificates_that_cannot_be_used_is_named_without_the_password(
    monkeypatch: pytest.MonkeyPatch, options: str, why: str
) -> None:
    monkeypatch.setenv("BARESTREAM_BROKER_URL", f"rediss://user:hush@h?{options}")
    with pytest.raises(SettingsError, match="BARESTREAM_BROKER_URL") as caught:
        load()
    assert f"({why}" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_key_that_is_too_short_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BARESTREAM_TOKEN_KEY", "hush")
    with pytest.raises(SettingsError, match=r"^BARESTREAM_TOKEN_KEY=\(a secret\): ") as caught:
        load()
    assert "hush" not in str(caught.value)


def test_publishing_on_more_than_one_worker_needs_a_valkey_that_they_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BARESTREAM_TOKEN_KEY", KEY)
    with pytest.raises(SettingsError, match="BARESTREAM_WORKERS=2: expected 1") as caught:
        load()
    assert "set BARESTREAM_BROKER_URL to a Valkey" in str(caught.value)
    monkeypatch.setenv("BARESTREAM_WORKERS", "1")
    assert load().has_local_broker
    monkeypatch.setenv("BARESTREAM_WORKERS", "2")
    monkeypatch.setenv("BARESTREAM_BROKER_URL", "valkey://valkey:6379")
    assert not load().has_local_broker


def test_a_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text(f"{KEY}\n")
    monkeypatch.setenv("BARESTREAM_WORKERS", "1")
    monkeypatch.setenv("BARESTREAM_TOKEN_KEY_FILE", str(secret))
    key = load().token_key
    assert key is not None
    assert key.get_secret_value() == KEY
    assert KEY not in repr(load())
    assert list(unknown({"BARESTREAM_TOKEN_KEY_FILE": str(secret)})) == []


def test_a_missing_secret_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARESTREAM_TOKEN_KEY_FILE", "/nowhere")
    with pytest.raises(SettingsError, match="TOKEN_KEY_FILE='/nowhere': expected a readable file"):
        load()


def test_a_secret_takes_precedence_over_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARESTREAM_BROKER_PASSWORD", "hush")
    monkeypatch.setenv("BARESTREAM_BROKER_PASSWORD_FILE", "/nowhere")
    password = load().broker_password
    assert password is not None
    assert password.get_secret_value() == "hush"


def test_an_empty_secret_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("\n")
    monkeypatch.setenv("BARESTREAM_SUBSCRIBER_TOKEN_KEY_FILE", str(secret))
    with pytest.raises(
        SettingsError, match=r"expected a readable file with a value \(it is empty\)"
    ):
        load()


def test_a_token_is_made_with_the_key_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARESTREAM_WORKERS", "1")
    no_key = CliRunner().invoke(main, ["token"])
    assert no_key.exit_code == 1
    assert "set BARESTREAM_TOKEN_KEY" in no_key.output
    monkeypatch.setenv("BARESTREAM_TOKEN_KEY", KEY)
    made = CliRunner().invoke(
        main, ["token", "--publish", "a", "--publish", "b", "--subscribe", "*", "--minutes", "5"]
    )
    bearer = Verifier(KEY, "HS256", time.time).verify(made.output.strip())
    assert (list(bearer.publish), list(bearer.subscribe)) == (["a", "b"], ["*"])
    assert bearer.expires_at is not None
    assert 290 < bearer.expires_at - time.time() <= 300


def test_a_variable_that_only_looks_like_a_setting_is_reported() -> None:
    assert list(unknown({"BARESTREAM_CLOCK_SECOND": "1", "HOME": "/"})) == [
        "BARESTREAM_CLOCK_SECOND is not a setting; did you mean BARESTREAM_CLOCK_SECONDS?"
    ]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            f'"{KEY}"',
            "BARESTREAM_TOKEN_KEY: the quotes around the value count as a part of it; "
            "remove them if they are not meant",
        ),
        (
            f"'{KEY}'",
            "BARESTREAM_TOKEN_KEY: the quotes around the value count as a part of it; "
            "remove them if they are not meant",
        ),
        (
            f"{KEY}\n",
            "BARESTREAM_TOKEN_KEY: the white space or line end around the value counts as a "
            "part of it; remove it if it is not meant",
        ),
        (KEY, None),
        ('{"keys": [{"kty": "oct", "alg": "HS256", "k": "' + "a" * 43 + '"}]}\n', None),
    ],
)
def test_a_key_with_more_around_it_than_was_meant_is_reported(
    monkeypatch: pytest.MonkeyPatch, value: str, sentence: str | None
) -> None:
    monkeypatch.setenv("BARESTREAM_WORKERS", "1")
    monkeypatch.setenv("BARESTREAM_TOKEN_KEY", value)
    checked = CliRunner().invoke(main, ["settings", "--check"])
    assert (checked.exit_code, checked.output) == (0, f"{sentence}\n" if sentence else "")


@pytest.mark.parametrize("command", [["token", "--publish", "a"], ["health"]])
def test_a_command_checks_only_the_settings_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("BARESTREAM_SOCKET_DIR", "/nowhere")
    monkeypatch.setenv("BARESTREAM_TOKEN_KEY", KEY)
    monkeypatch.setenv("BARESTREAM_BROKER_PASSWORD_FILE", "/nowhere")
    monkeypatch.setenv("BARESTREAM_HISTORY_EVENTS", "many")
    done = CliRunner().invoke(main, command)
    assert "expected" not in done.output


def test_a_command_completes_its_environment_from_the_file_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(content: str, *command: str) -> Result:
        (tmp_path / ".env").write_text(content)
        with monkeypatch.context() as patch:
            patch.setattr(os, "environ", {"PATH": os.environ["PATH"]})
            patch.setattr(sys, "argv", ["barestream", *command])
            return CliRunner().invoke(main, command)

    monkeypatch.chdir(tmp_path)
    assert run(f"export BARESTREAM_TOKEN_KEY='{KEY}'\n", "token").exit_code == 0
    checked = run("BARESTREAM_WORKERS=many\n", "settings", "--check")
    assert "BARESTREAM_WORKERS='many'" in checked.output
    refused = run("\nBARESTREAM_WORKERS: 1\n", "token")
    assert (refused.exit_code, refused.output) == (1, ".env, line 2: expected NAME=value\n")
    assert run("BARESTREAM_WORKERS: 1\n", "token", "--help").exit_code == 0


def test_a_misspelt_name_in_an_env_file_is_reported_with_the_nearest_real_one(
    tmp_path: Path,
) -> None:
    written = tmp_path / ".env"
    written.write_text("BARESTREAM_WORKER=1\nOTHER=1\nBARESTREAM_RETRY_MS=${X}\n")
    checked = CliRunner().invoke(main, ["settings", "--check", "--env-file", str(written)])
    assert (checked.exit_code, checked.output) == (
        0,
        "BARESTREAM_WORKER is not a setting; did you mean BARESTREAM_WORKERS?\n",
    )


def test_a_check_prints_only_the_faults_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    well = CliRunner().invoke(main, ["settings", "--check"])
    assert (well.exit_code, well.output) == (0, "")
    monkeypatch.setenv("BARESTREAM_WORKERS", "many")
    wrong = CliRunner().invoke(main, ["settings", "--check"])
    assert wrong.exit_code == 1
    assert "BARESTREAM_WORKERS='many': expected a whole number from 1 to 64" in wrong.output


def test_the_manual_holds_the_tables_of_settings() -> None:
    table = CliRunner().invoke(main, ["settings"]).output
    assert table in (ROOT / "docs/settings.md").read_text()


def test_the_example_of_an_env_file_holds_every_setting() -> None:
    printed = CliRunner().invoke(main, ["settings", "--env"]).output
    assert (ROOT / ".env.example").read_text() == printed


def test_compose_passes_every_setting_on_to_the_container_that_reads_it() -> None:
    compose = "".join((ROOT / name).read_text() for name in COMPOSE_FILES)
    fixed_in_the_image = {"BARESTREAM_BIND", "BARESTREAM_SOCKET_DIR"}
    missing = {row.variable for row in all_rows()} - fixed_in_the_image
    assert {variable for variable in missing if variable not in compose} == set()


def test_nginx_gets_its_part_of_the_settings_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARESTREAM_CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("BARESTREAM_DRAIN_SECONDS", "0.00001")
    printed = CliRunner().invoke(main, ["settings", "--nginx"])
    assert printed.exit_code == 0
    assert printed.output.splitlines() == [
        "BARESTREAM_CORS_ORIGINS=https://a.example,https://b.example",
        "BARESTREAM_DATA_BYTES=512000",
        "BARESTREAM_DRAIN_SECONDS=0.000010",
        "BARESTREAM_HSTS_SECONDS=0",
        "BARESTREAM_PUBLISH_RATE=1000",
        "BARESTREAM_STREAMED_PUBLISHES=256",
        "BARESTREAM_STREAMS_PER_ADDRESS=500",
        "BARESTREAM_TLS_PORT=443",
        "BARESTREAM_TRUSTED_PROXIES=",
        "BARESTREAM_WORKERS=2",
    ]


def test_nginx_reads_exactly_the_settings_that_the_app_hands_to_it() -> None:
    handed = re.findall(r"^(\w+)=", of_nginx(load()), re.MULTILINE)
    script = (ROOT / "nginx/upstream.envsh").read_text()
    taken = script.partition("case $name in")[2].partition(")")[0]
    assert re.findall(r"BARESTREAM_\w+", taken) == handed


def test_defaults_repeated_in_other_files_are_the_same() -> None:
    defaults = {row.variable: row.default for row in all_rows()}
    # Programs that run where no Python does.
    programs = ["nginx/upstream.envsh", "scripts/native", "deploy/valkey-start"]
    found = {
        (name, variable, default)
        for name in (*COMPOSE_FILES, *programs)
        for variable, default in re.findall(
            r"\$\{(BARESTREAM_\w+):[-=]([^}$][^}]*)\}", (ROOT / name).read_text()
        )
        # Without a file of issuers, Compose mounts nothing in its place.
        if variable in defaults and default != "/dev/null"
    }
    assert len(found) >= 8
    assert [entry for entry in found if defaults[entry[1]] != entry[2]] == []


@pytest.mark.parametrize(
    ("variable", "given", "handed"),
    [
        # nginx refuses a map that has a key twice.
        (
            "BARESTREAM_CORS_ORIGINS",
            "https://a.example, https://b.example,https://a.example",
            "https://a.example,https://b.example",
        ),
        # The second line would be read as another setting.
        (
            "BARESTREAM_CORS_ORIGINS",
            "https://a.example,\nhttps://b.example",
            "https://a.example,https://b.example",
        ),
        ("BARESTREAM_CORS_ORIGINS", "*", "*"),
        # nginx takes a mask for the name of a host.
        ("BARESTREAM_TRUSTED_PROXIES", "10.0.0.0/255.0.0.0,\n::1", "10.0.0.0/8,::1/128"),
        ("BARESTREAM_TRUSTED_PROXIES", "10.0.0.1, 10.0.0.1", "10.0.0.1/32"),
    ],
)
def test_nginx_is_handed_a_list_in_the_form_that_it_takes(
    monkeypatch: pytest.MonkeyPatch, variable: str, given: str, handed: str
) -> None:
    monkeypatch.setenv(variable, given)
    assert f"{variable}={handed}" in of_nginx(load()).splitlines()

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from barestream.cli import main
from barestream.settings import SettingsError, load, rows, unknown

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in rows():
        monkeypatch.delenv(row.variable, raising=False)


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


def test_each_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARESTREAM_WORKERS", "many")
    monkeypatch.setenv("BARESTREAM_RETRY_MS", "soon")
    with pytest.raises(SettingsError, match=r"(?s)WORKERS.*RETRY_MS"):
        load()


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARESTREAM_CLOCK_SECONDS", "")
    assert load().clock_seconds == 1


def test_a_variable_that_only_looks_like_a_setting_is_told() -> None:
    assert list(unknown({"BARESTREAM_CLOCK_SECOND": "1", "HOME": "/"})) == [
        "BARESTREAM_CLOCK_SECOND is no setting; is BARESTREAM_CLOCK_SECONDS meant?"
    ]


def test_the_readme_holds_the_table_of_settings() -> None:
    table = CliRunner().invoke(main, ["settings"]).output
    assert table in (ROOT / "README.md").read_text()


def test_the_example_of_an_env_file_holds_every_setting() -> None:
    printed = CliRunner().invoke(main, ["settings", "--env"]).output
    assert (ROOT / ".env.example").read_text() == printed


def test_compose_passes_every_setting_on_to_the_container_that_reads_it() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    fixed_in_the_image = {"BARESTREAM_BIND", "BARESTREAM_SOCKET_DIR"}
    missing = {row.variable for row in rows()} - fixed_in_the_image
    assert {variable for variable in missing if variable not in compose} == set()


def test_defaults_that_stand_elsewhere_are_the_same() -> None:
    defaults = {row.variable: row.default for row in rows()}
    elsewhere = [
        (ROOT / "docker-compose.yml", r"\$\{(BARESTREAM_\w+):-([^}]*)\}"),
        (ROOT / "nginx/upstream.envsh", r"\$\{(BARESTREAM_\w+):=([^}]*)\}"),
        (ROOT / "deploy/native", r"\$\{(BARESTREAM_\w+):=([^}]*)\}"),
    ]
    found = {
        (path.name, variable, default)
        for path, pattern in elsewhere
        for variable, default in re.findall(pattern, path.read_text())
        if variable in defaults
    }
    assert len(found) >= 8
    assert [entry for entry in found if defaults[entry[1]] != entry[2]] == []

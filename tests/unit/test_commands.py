"""The parts of the commands that need no hub."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import barestream
from barestream.cli import OF_CLIENTS, main
from barestream.commands import exits
from barestream.commands.contexts import Contexts, NamedHub
from barestream.commands.hub_options import DEFAULT_URL, Complaint, chosen
from barestream.commands.input_lines import lines_of, texts, updates
from barestream_client import (
    AddressError,
    AwayError,
    EndedError,
    ForbiddenError,
    RefusedError,
    UnauthorizedError,
    Update,
)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder that the contexts are in."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def read(*lines: bytes, topic: str | None = None) -> list[Update]:
    return [*updates(iter(lines), topic)]


def test_each_line_of_json_is_an_update() -> None:
    line = b'{"topic": ["a", "b"], "data": {"x": 1}, "keep": 5, "retry": 9, "private": true}'
    assert read(line, b" ", b'{"topic": "c"}') == [
        Update(topic=["a", "b"], data={"x": 1}, keep=5, retry_ms=9, private=True),
        Update(topic="c"),
    ]
    assert read(b'{"data": 1, "end": true}', topic="t") == [Update(data=1, end=True)]


@pytest.mark.parametrize(
    ("line", "topic", "words"),
    [
        (b"{", None, "line 2 is not JSON"),
        (b"[" * 100_000, None, "line 2 is not JSON"),
        (b"[]", None, "line 2 is not an object"),
        (b'{"topic": "a", "dta": 1}', None, "line 2 has a field 'dta'; expected some of topic"),
        (b'{"data": 1}', None, "line 2 has no topic"),
        (b'{"topic": "a"}', "b", "line 2 has a topic, and so has the command"),
        (b"\xff", None, "line 2 is not in UTF-8"),
    ],
)
def test_a_line_that_is_no_update_is_named(line: bytes, topic: str | None, words: str) -> None:
    first = b'{"topic": "a"}' if topic is None else b"{}"
    with pytest.raises(RefusedError, match=words.replace("[", r"\[")):
        read(first, line, topic=topic)


def test_lines_are_read_up_to_their_ends(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\r\n\ntw\xc3\xb6" + b"x" * 100_000)
    with path.open("rb") as file:
        assert [*texts(lines_of(file))] == ["one", "", "twö" + "x" * 100_000]


def test_contexts_are_for_their_owner_alone() -> None:
    contexts = Contexts()
    contexts.hubs["a"] = NamedHub("http://a", "secret")
    contexts.current = "a"
    contexts.save()
    contexts.save()
    assert contexts.path.stat().st_mode & 0o777 == 0o600
    assert (Contexts().hubs, Contexts().current) == (contexts.hubs, "a")
    assert [*contexts.path.parent.iterdir()] == [contexts.path]
    contexts.path.chmod(0o640)
    with pytest.raises(click.ClickException, match="others may read it: chmod 600"):
        Contexts()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"contexts": {"a": {}}}', '{"contexts": 1}'])
def test_a_file_that_is_none_of_contexts_is_named(text: str) -> None:
    path = Contexts().path
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(click.ClickException, match=r"contexts\.json is no file of contexts"):
        Contexts()


def test_a_command_takes_the_hub_that_is_named_most_closely() -> None:
    assert chosen(None, "t", None, 1)[:2] == (DEFAULT_URL, "t")
    contexts = Contexts()
    contexts.hubs |= {"a": NamedHub("http://a", "of a"), "b": NamedHub("http://b", "of b")}
    contexts.current = "a"
    contexts.save()
    assert chosen(None, None, None, 1)[:2] == ("http://a", "of a")
    assert chosen(None, "mine", None, 1)[:2] == ("http://a", "mine")
    assert chosen(None, None, "b", 1)[:2] == ("http://b", "of b")
    # A token goes to the hub alone that it is for.
    assert chosen("http://c", None, None, 1)[:2] == ("http://c", None)
    with pytest.raises(click.UsageError, match="give either"):
        chosen("http://c", None, "b", 1)
    with pytest.raises(click.UsageError, match="The contexts are: a, b"):
        chosen(None, None, "c", 1)


def test_a_hub_that_is_away_for_longer_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    complaint = Complaint(30)
    for wait in (0.2, 0.4, 0.8):
        complaint(AwayError("it is away"), wait)
    assert capsys.readouterr().err == "it is away; trying again for 30 s\n"


def test_each_kind_of_failure_has_a_code_and_the_manual_has_them_all() -> None:
    codes = {
        exits.code_of(error)
        for error in (
            *(AddressError(), AwayError(""), UnauthorizedError(), ForbiddenError()),
            *(RefusedError(), EndedError()),
        )
    }
    assert codes == {3, 4, 5, 6}
    assert exits.code_of(ValueError()) is None
    manual = (Path(barestream.__file__).parents[2] / "docs/command-line.md").read_text()
    for code in (0, 1, 2, *codes, exits.INTERRUPTED, exits.CLOSED_PIPE):
        assert f"\n| {code} | " in manual


def test_the_help_names_each_command_and_imports_none() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    for name in main.list_commands(click.Context(main)):
        assert f"\n  {name} " in shown
    for name in ("--help", "publish --help", "tail --help", "context --help"):
        modules = modules_after(f"main({name.split()!r}, standalone_mode=False)")
        assert modules & {"pydantic", "gunicorn", "uvicorn", "jwt", "valkey", "dotenv"} == set()
        assert ("httpx" in modules) == (name in {"publish --help", "tail --help"})


def test_the_version_is_told_in_a_checkout_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(_: str) -> str:
        raise PackageNotFoundError

    for found, told in ((version, "of a checkout"), (lambda _: "7.1", "7.1")):
        monkeypatch.setattr("barestream.release.version", found)
        done = CliRunner().invoke(main, ["--version"])
        assert (done.exit_code, done.output) == (0, f"barestream, version {told}\n")


def modules_after(call: str) -> set[str]:
    """Return the packages that a call of the commands imports."""
    program = f"import sys; from barestream.cli import main\n{call}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(Path(barestream.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_every_command_is_of_the_client_or_of_the_service() -> None:
    commands = {name: main.get_command(click.Context(main), name) for name in main.lazy}
    assert set(commands) >= OF_CLIENTS
    assert all(command is not None and command.name == name for name, command in commands.items())


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return what makes the command `context list` raise."""

    def fail(error: BaseException) -> None:
        def raises(_: object) -> None:
            raise error

        monkeypatch.setattr(Contexts, "__init__", raises)

    return fail


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (AwayError("it is away"), 4, "Error: it is away\n"),
    ],
)
def test_a_failure_is_one_line_and_a_code(
    failing: Any, error: BaseException, code: int, said: str
) -> None:
    failing(error)
    done = CliRunner().invoke(main, ["context", "list"])
    assert (done.exit_code, done.output) == (code, said)


def test_the_list_of_contexts_is_for_programs_too() -> None:
    CliRunner().invoke(main, ["context", "add", "a", "--url", "http://a"])
    listed = CliRunner().invoke(main, ["context", "list", "--json"]).output
    assert json.loads(listed) == [
        {"name": "a", "url": "http://a", "has_token": False, "is_used": True}
    ]

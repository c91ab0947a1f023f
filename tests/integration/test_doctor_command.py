import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result

from barestream.cli import main
from barestream.commands.doctor import doctor
from support.servers.http_server import http_server


class Asking(NamedTuple):
    """A server without streams, and the paths and tokens that it was asked with."""

    url: str
    asked: set[tuple[str, str | None]]


@pytest.fixture
def asking() -> Iterator[Asking]:
    asked: set[tuple[str, str | None]] = set()

    class Noting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.add((self.path.partition("?")[0], self.headers["Authorization"]))
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with http_server(Noting) as port:
        yield Asking(f"http://127.0.0.1:{port}", asked)


@pytest.fixture
def home(tmp_path: Path, asking: Asking) -> dict[str, str | None]:
    """Return the environment of a user whose context in use is the server, with a token."""
    names = ("BARESTREAM_URL", "BARESTREAM_TOKEN", "BARESTREAM_CONTEXT")
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), **dict.fromkeys(names)}
    add = ["context", "add", "here", "--url", f"{asking.url}/.well-known/mercure"]
    assert CliRunner().invoke(main, [*add, "--token", "its-token"], env=home).exit_code == 0
    return home


def examined(home: dict[str, str | None], *arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--quick", *arguments], env=home)


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_a_server_that_refuses_has_an_exit_code_of_its_own(closed_port: int) -> None:
    done = CliRunner().invoke(doctor, [f"http://127.0.0.1:{closed_port}/", "--quick"])
    assert done.exit_code == 4
    assert "cannot be reached: connection refused" in " ".join(done.output.split())


def test_a_url_of_another_form_has_the_exit_code_of_no_hub() -> None:
    done = CliRunner().invoke(main, ["doctor", "example.com"])
    assert done.exit_code == 3
    assert "expected http://host:port/path" in done.output


def test_json_says_the_same(closed_port: int) -> None:
    done = CliRunner().invoke(doctor, [f"http://127.0.0.1:{closed_port}/", "--json"])
    said = json.loads(done.stdout)
    assert (said["severity"], [each["code"] for each in said["findings"]]) == (
        "error",
        ["unreachable"],
    )


@pytest.mark.parametrize("no_color", [True, False])
def test_colors_are_for_terminals_that_want_them(closed_port: int, *, no_color: bool) -> None:
    done = CliRunner().invoke(
        doctor,
        [f"http://127.0.0.1:{closed_port}/"],
        env={"NO_COLOR": "1" if no_color else None},
        color=True,
    )
    assert ("\x1b[" in done.output) is not no_color


def test_without_a_url_the_hub_of_the_context_is_examined_with_its_token(
    home: dict[str, str | None], asking: Asking
) -> None:
    done = examined(home)
    assert (done.exit_code, f"barestream doctor: {asking.url}/\n" in done.output) == (3, True)
    assert {token for _, token in asking.asked} == {"Bearer its-token"}
    assert {"/events", "/.well-known/mercure/diagnosis"} <= {path for path, _ in asking.asked}


@pytest.mark.parametrize("variable", ["BARESTREAM_URL", "BARESTREAM_CONTEXT"])
def test_a_url_of_the_command_line_gets_no_token_of_a_context(
    home: dict[str, str | None], asking: Asking, variable: str
) -> None:
    home[variable] = "here" if variable == "BARESTREAM_CONTEXT" else "http://127.0.0.1:1"
    assert examined(home, f"{asking.url}/stream").exit_code == 3
    assert "/stream" in {path for path, _ in asking.asked}
    assert {token for _, token in asking.asked} == {None}


def test_two_hubs_are_a_wrong_use(home: dict[str, str | None], asking: Asking) -> None:
    done = examined(home, asking.url, "--context", "here")
    assert (done.exit_code, "Give URL, --url or --context." in done.output) == (2, True)
    assert asking.asked == set()

"""``barestream why``, as an operator runs it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from barestream.app import create_app
from barestream.cli import main
from barestream.commands import exits
from barestream.mercure.tokens import sign
from barestream.settings.settings import Settings
from barestream_client import SyncHub
from support.clients.operator import claiming
from support.clients.publisher import ISSUER, KEY, RESOURCE, access_token, token
from support.servers.served import Served
from support.servers.service import wait_for

OPERATOR = sign(KEY, "HS256", ("*",), ("*",), None, operate=True)
ALICE = token(publish=(), subscribe=("/orders/{id}",))
BOB = token(publish=(), subscribe=("/users/{id}",))


@pytest.fixture(scope="module")
def hub() -> Iterator[Served]:
    settings = Settings(token_key=KEY, issuer=ISSUER, resource_identifier=RESOURCE)
    with Served(create_app(settings), ours=True) as served:
        wait_for("the hub", lambda: httpx.get(f"{served.url}/readyz").is_success)
        yield served


@pytest.fixture(scope="module")
def place(hub: Served) -> str:
    """Return the place of a private update on /orders/1, with an id of its publisher."""
    with SyncHub(hub.url, OPERATOR) as asked:
        asked.publish(["/orders/1", "/orders"], "x", id="mine", private=True)
        found: str = asked.why("mine").evidence["event"]["place"]
    return found


def why(hub: Served, *arguments: str, given: str = "", **environment: str) -> Result:
    variables = {"BARESTREAM_URL": hub.url, "BARESTREAM_TOKEN": OPERATOR, **environment}
    result = CliRunner().invoke(main, ["why", *arguments], input=given, env=variables)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_verdict_is_one_line_and_the_evidence_is_below(hub: Served, place: str) -> None:
    done = why(hub, place, "/orders/{id}", "/x", "--as", BOB)
    assert (done.exit_code, done.stderr) == (exits.NOT_DELIVERED, "")
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(place[1:14]) // 1000))
    lines = done.stdout.splitlines()
    assert lines[:5] == [
        "not allowed: The update is private, and the token lets its bearer read none of its "
        "topics.",
        f"  update   {place} of {moment} UTC, private, on /orders/1, /orders",
        "  stream   as the command says; asks for it by /orders/{id}",
        "  token    valid; may read /users/{id}",
        "  needed   a token that may read /orders/1 or /orders",
    ]
    assert lines[5].startswith("  history  has the update; nothing after #")
    assert [line.split()[:2] for line in lines[6:]] == [
        ["topic", "/orders/1:"],
        ["topic", "/orders:"],
    ]


def test_the_exit_code_says_whether_the_update_is_delivered(hub: Served, place: str) -> None:
    pattern = ("--pattern", "/orders/:id")
    for arguments, code, words in (
        (("--as", ALICE), 0, "delivered: "),
        (("/orders/1", "--as", ALICE), 0, "reads it by /orders/{id}"),
        (("/orders", "--as", ALICE), 0, "asks for it by /orders"),
        ((*pattern, "--as", access_token("/orders")), 0, "asks for it by /orders/:id"),
        (("/users/1", "--as", ALICE), 8, "not matched: "),
        (("--as", BOB), 8, "what it asks for is not known"),
        (("--anonymous",), 8, "not allowed: The update is private, and there is no token."),
        (("--as", claiming(exp=5)), 8, "  token    expired since 1970-01-01 00:00:05 UTC"),
        (("--as", "nonsense"), 8, "not allowed: The token is not a JWT."),
        (("--as", claiming(exp=1e15)), 0, "until 1e+15 s after 1970"),
    ):
        done = why(hub, place, *arguments)
        assert (done.exit_code, words in done.stdout) == (code, True), done.output
    for event, words in (("#1-0", "trimmed: "), ("never", "unknown: ")):
        done = why(hub, event, "/orders/1")
        assert (done.exit_code, words in done.stdout) == (8, True), done.output


def test_the_token_comes_from_a_file_standard_input_or_the_environment(
    hub: Served, place: str, tmp_path: Path
) -> None:
    file = tmp_path / "alice"
    file.write_text(f"{ALICE}\n")
    assert why(hub, place, "--as-file", str(file)).exit_code == 0
    assert why(hub, place, "--as", "-", given=f"{ALICE}\n").exit_code == 0
    assert why(hub, place, BARESTREAM_AS_TOKEN=ALICE).exit_code == 0
    # What the command says comes before the environment.
    for arguments in (("--as", BOB), ("--anonymous",)):
        assert why(hub, place, *arguments, BARESTREAM_AS_TOKEN=ALICE).exit_code == 8
    file.write_text("\n")
    for arguments, words in (
        (("--as", ALICE, "--anonymous"), "Give one of --as, --as-file and --anonymous."),
        (("--as-file", str(file)), "--as-file has no token"),
        (("--as", "-"), "--as - has no token"),
        (("--as-file", str(tmp_path / "none")), "does not exist"),
    ):
        done = why(hub, place, *arguments)
        assert (done.exit_code, words in done.stderr) == (2, True), done.output
    done = why(hub, place, BARESTREAM_AS_TOKEN="")
    assert (done.exit_code, "BARESTREAM_AS_TOKEN has no token" in done.stderr) == (2, True)


def test_json_has_all_that_the_hub_tells(hub: Served, place: str) -> None:
    done = why(hub, place, "--as", ALICE, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["verdict"]) == (0, "delivered")
    assert {*found} == {"verdict", "why", "event", "stream", "token", "history"}
    assert found["event"]["topics"] == ["/orders/1", "/orders"]


def test_what_the_hub_refuses_has_the_exit_codes_of_all_commands(hub: Served, place: str) -> None:
    for arguments, environment, code, words in (
        ((place,), {"BARESTREAM_TOKEN": ALICE}, 5, "403: The token does not have the right"),
        ((place,), {"BARESTREAM_TOKEN": "nonsense"}, 5, "401"),
        (("#5",), {}, 6, "#milliseconds-sequence"),
        ((place, *["a"] * 101), {}, 6, "at most 100 are allowed"),
        ((place,), {"BARESTREAM_URL": f"{hub.url}/test"}, 3, "check the URL"),
    ):
        done = why(hub, *arguments, **environment)
        assert (done.exit_code, done.stdout) == (code, ""), done.output
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_terminal_gets_no_commands_of_others(hub: Served, place: str) -> None:
    hostile = token(publish=(), subscribe=("\x1b]0;title\a", "/orders/1"))
    done = why(hub, place, "--as", hostile)
    assert (done.exit_code, "\x1b" in done.stdout) == (0, False)

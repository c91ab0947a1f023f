"""The commands, run in a shell against the real service."""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from barestream.mercure.tokens import sign
from barestream_client import SyncHub, mint
from support.clients.command_line import CommandLine
from support.clients.publisher import KEY
from support.full_size import IS_FULL_SIZE
from support.servers.authority import Authority
from support.servers.bound import Bound
from support.servers.faulty_proxy import FaultyProxy
from support.servers.outer_nginx import outer_nginx
from support.servers.service import free_port

TOKEN = mint(KEY, publish=["*"], subscribe=["*"])
OPERATE = sign(KEY, "HS256", (), (), None, operate=True)
MANY = 100_000 if IS_FULL_SIZE else 6000

# What an endless command says once it is at work.
SIGNS = ("startup complete", "Ctrl+C", "news", "orders", "streams")

# Work that may be long, and what its progress looks like.
LONG = {
    "barestream publish /bars --lines --file lines": "publishing  [####",
    "cat lines | barestream publish /bars --lines": "]  300",
    "barestream tail /bars --from earliest --count 300 >events": "100%",
    "barestream load $BARESTREAM_URL --topic /bars --streams 2 --seconds 0.5": "streaming",
    "barestream doctor --quick http://127.0.0.1:1": "asking for the diagnostic endpoint  [",
}

COMMANDS = [
    *("dev", "serve", "health", "settings", "token", "publish", "tail", "context", "load", "smoke"),
    *("doctor", "revoke", "top", "why", "probe"),
]


@pytest.fixture(scope="module")
def service() -> Iterator[Bound]:
    room = {"history_events": 300_000, "topic_events": 200_000}
    with Bound(token_key=KEY, retry_ms=100, **room) as bound:
        yield bound


@pytest.fixture
def shell(service: Bound) -> Iterator[CommandLine]:
    with CommandLine(BARESTREAM_URL=service.url, BARESTREAM_TOKEN=TOKEN) as shell:
        yield shell


def examples(command: str) -> list[str]:
    """Return the lines of a command's help that call it."""
    with CommandLine() as shell:
        shown = shell.run(f"barestream {command} --help").stdout
    found = re.findall(r"(?m)^  ((?:\S.* )?barestream .*)$", shown)
    assert found, shown
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_a_help_work_as_printed(
    service: Bound, shell: CommandLine, command: str
) -> None:
    lines = examples(command)
    # The port of this test in place of that of `barestream dev`, and one for what listens.
    port = free_port() if command in {"dev", "serve"} else service.port
    shell.environment |= {"TOKEN": TOKEN, "BARESTREAM_TOKEN_KEY": KEY}
    shell.environment |= {"BARESTREAM_BIND": f"127.0.0.1:{port}", "BARESTREAM_WORKERS": "1"}
    if command in {"doctor", "revoke"}:
        # That token may not operate. Without one, revoke signs its own, and doctor reads a stream.
        del shell.environment["BARESTREAM_TOKEN"]
    if command == "top":
        shell.environment["BARESTREAM_TOKEN"] = OPERATE
    if command == "why":
        (shell.home / "token").write_text(TOKEN)
        with SyncHub(service.url, TOKEN) as hub:
            shell.environment["ID"] = hub.publish(["/orders/1"], "x")
        shell.environment["BARESTREAM_TOKEN"] = OPERATE
    if command == "context":
        del shell.environment["BARESTREAM_URL"]
        lines = [line.replace("https://events.example", service.url) for line in lines]
    (shell.home / "updates.ndjson").write_text('{"topic": "news", "data": "x", "keep": 60}\n')
    for example in lines:
        line = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", example)
        is_endless = (" tail " in line and "--seconds" not in line) or line.endswith(" top")
        if command in {"dev", "serve"} or is_endless:
            ends_at_interrupt(shell, line, service)
            continue
        with shell.start(line) as running:
            output, errors = running.communicate(timeout=100)
            assert running.returncode == 0, f"{line}\n{output}{errors}"


def ends_at_interrupt(shell: CommandLine, line: str, service: Bound) -> None:
    """Check that a line prints something, and ends at Ctrl-C without a complaint."""
    is_over = threading.Event()

    def publish() -> None:
        with SyncHub(service.url, TOKEN) as hub:
            while not is_over.wait(0.1):
                hub.publish(["news", "/orders/1"], "x")

    publishing = threading.Thread(target=publish)
    publishing.start()
    try:
        # `serve` says on standard error that it takes requests.
        with shell.start(line, stderr=subprocess.STDOUT) as running:
            assert running.stdout
            for said in running.stdout:
                if any(each in said for each in SIGNS):
                    break
            os.killpg(running.pid, signal.SIGINT)
            rest, _ = running.communicate(timeout=30)
    finally:
        is_over.set()
        publishing.join()
    assert "Traceback" not in rest
    assert running.returncode == (130 if "tail" in line or "top" in line else 0), rest


def test_many_lines_go_in_and_come_out_once_over_a_broken_connection(
    service: Bound, shell: CommandLine
) -> None:
    updates = [{"topic": f"/many/{number % 7}", "data": str(number)} for number in range(MANY)]
    source = shell.home / "many.ndjson"
    source.write_text("".join(json.dumps(update) + "\n" for update in updates))
    is_over = threading.Event()
    with FaultyProxy(service) as proxy:

        def break_them() -> None:
            while not is_over.wait(MANY / 20_000):
                proxy.break_all()

        breaking = threading.Thread(target=break_them)
        breaking.start()
        timed = (
            'TIMEFORMAT="%R s"; time python3 -c "import resource, subprocess, sys; '
            "print(subprocess.run(sys.argv[1:]).returncode, "
            'resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)" '
        )
        url = f"--url {proxy.url}"
        tail = f"barestream tail '/many/{{n}}' {url} --from earliest --count {MANY} --json >out"
        publish = f"barestream publish --ndjson {url} --file {source} --json"
        try:
            with shell.start(timed + tail) as tailing:
                done = shell.run(timed + publish)
                _, tail_errors = tailing.communicate(timeout=300)
        finally:
            is_over.set()
            breaking.join()
    assert json.loads(done.stdout)["published"] == MANY, done.stderr
    received = [json.loads(line) for line in (shell.home / "out").read_text().splitlines()]
    assert [{"topic": each["topic"], "data": each["data"]} for each in received] == updates
    for errors in (done.stderr, tail_errors):
        code, most_kb = re.findall(r"(?m)^(\d+) (\d+)$", errors)[0]
        print(MANY, "lines:", errors.replace("\n", "; "))
        # As without a single line: the interpreter, and httpx.
        assert (int(code), int(most_kb) < 60_000) == (0, True), errors


def test_lines_of_a_producer_go_on_where_an_earlier_call_was(shell: CommandLine) -> None:
    (shell.home / "lines").write_text("a\nb\n")
    line = "barestream publish /imports/1 --lines --producer import --file lines"
    assert shell.run(line).stdout.startswith("2 published")
    (shell.home / "lines").write_text("a\nb\nc\n")
    assert shell.run(line).stdout.startswith("1 published")
    shown = shell.run("barestream tail /imports/1 --from earliest --count 3")
    assert [each.split()[-1] for each in shown.stdout.splitlines()] == ["a", "b", "c"]


def test_a_line_is_published_as_soon_as_it_is_there(shell: CommandLine) -> None:
    with (
        shell.start("exec barestream tail /live --from earliest") as tailing,
        shell.start("exec barestream publish /live --lines", stdin=subprocess.PIPE) as publishing,
    ):
        assert publishing.stdin
        assert tailing.stdout
        for word in ("one", "two"):
            publishing.stdin.write(f"{word}\n")
            publishing.stdin.flush()
            assert tailing.stdout.readline().endswith(f"{word}\n")
        publishing.stdin.close()
        os.killpg(tailing.pid, signal.SIGINT)


def test_what_is_published_is_shown_for_people_and_for_programs(shell: CommandLine) -> None:
    shell.run("printf 'two\\nlines\\n' | barestream publish /shown - --type note --private")
    shell.run("barestream publish /shown --file bin/barestream --keep forever")
    for_people = shell.run("barestream tail /shown --from earliest --count 1").stdout
    assert re.fullmatch(r"\d\d:\d\d:\d\d  /shown  note  two\n    lines\n", for_people)
    [kept] = shell.run("barestream tail /shown --rewind kept --count 1 --json").stdout.splitlines()
    assert json.loads(kept)["data"].startswith("#!/bin/sh\nexec ")
    hostile = "barestream publish /hostile $'a\\e]0;title\\a'"
    assert shell.run(hostile).returncode == 0
    assert "\x1b" not in shell.run("barestream tail /hostile --from earliest --count 1").stdout


def test_colours_are_for_terminals_that_want_them(shell: CommandLine) -> None:
    shell.run("barestream publish /colours red")
    line = "barestream tail /colours --from earliest --count 1"
    on_a_terminal = shell.run(f"script -qec '{line}' /dev/null")
    assert "\x1b[36m/colours" in on_a_terminal.stdout
    shell.environment["NO_COLOR"] = "1"
    assert "\x1b" not in shell.run(f"script -qec '{line}' /dev/null").stdout


@pytest.mark.parametrize("line", LONG)
def test_long_work_shows_its_progress_on_a_terminal_alone(shell: CommandLine, line: str) -> None:
    (shell.home / "lines").write_text("x\n" * 300)
    if "tail" in line:
        shell.run("barestream publish /bars --lines --file lines")
    on_a_terminal = shell.run(f"script -qec '{line}' /dev/null").stdout
    assert LONG[line] in on_a_terminal
    assert "None" not in on_a_terminal
    assert shell.run(line).stderr == ""


def fails(shell: CommandLine, line: str, code: int, words: str) -> None:
    """Check that a line ends with a code, and says why in one line on standard error."""
    done = shell.run(line)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    said = done.stderr.splitlines()
    assert len(said) <= 1 + said[0].endswith(" s"), done.stderr
    assert words in said[-1], done.stderr


def test_a_token_without_the_right_and_a_refused_update_are_said(shell: CommandLine) -> None:
    other = mint(KEY, publish=["/else"])
    fails(shell, f"barestream publish news x --token {other}", 5, "403")
    fails(shell, "barestream publish news x --type mercure", 6, "type")
    (shell.home / "wrong").write_text('{"topic": "a"}\n{"topic": "a", "dta": 1}\n')
    fails(shell, "barestream publish --ndjson --file wrong", 6, "line 2 has a field 'dta'")
    for line, words in (
        ("", "Missing argument 'TOPIC'"),
        (" a b --lines", "Give one of DATA"),
        (" a b --context nobody", "There is no context 'nobody'"),
    ):
        done = shell.run(f"barestream publish{line}")
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_a_certificate_counts_if_its_authority_is_trusted(
    service: Bound, shell: CommandLine, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    authority.issue(tmp_path / "pair")
    with outer_nginx(service, tmp_path, pair=tmp_path / "pair") as outer:
        line = f"barestream publish news x --url {outer.url}"
        fails(shell, line, 3, "its certificate is not trusted (unable to get local issuer")
        shell.environment["SSL_CERT_FILE"] = str(authority.root)
        assert shell.run(line).returncode == 0


def test_a_context_stands_for_a_url_and_a_token(service: Bound, shell: CommandLine) -> None:
    for name in ("BARESTREAM_URL", "BARESTREAM_TOKEN"):
        del shell.environment[name]
    url = service.url
    shell.run(f"barestream context add first --url {url} --token -", f"{TOKEN}\n")
    shell.run("barestream context add second --url http://127.0.0.1:1")
    assert oct(shell.config.stat().st_mode)[-3:] == "600"
    assert shell.run("barestream publish news x").returncode == 0
    listed = shell.run("barestream context list").stdout
    assert listed == f"* first   {url}\n  second  http://127.0.0.1:1  (no token)\n"
    # The token of a context goes to its URL alone.
    fails(shell, f"barestream publish news x --url {url}", 5, "401")
    assert shell.run("barestream publish news x --context first").returncode == 0
    shell.run("barestream context use second")
    fails(shell, "barestream publish news x --retry-seconds 0", 4, "nothing listens there")
    shell.run("barestream context remove second")
    assert json.loads(shell.run("barestream context list --json").stdout) == [
        {"name": "first", "url": url, "has_token": True, "is_used": False}
    ]
    shell.config.chmod(0o644)
    fails(shell, "barestream context list", 1, "others may read it: chmod 600")


def test_a_smoke_test_says_what_works_and_what_does_not(service: Bound, shell: CommandLine) -> None:
    done = shell.run("barestream smoke")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(" s  ")[2] for line in done.stdout.splitlines()[:-1]] == [
        "the service is ready",
        "streams open",
        "a published update arrives",
        "a client that comes back gets what it missed",
    ]
    assert done.stdout.splitlines()[-1] == f"all is well at {service.url}/.well-known/mercure"
    without = shell.run("BARESTREAM_TOKEN= barestream smoke")
    assert (without.returncode, "nothing was published" in without.stdout) == (0, True)
    required = shell.run("BARESTREAM_TOKEN= barestream smoke --require-publish")
    assert (required.returncode, "barestream token --publish" in required.stderr) == (5, True)
    # It may publish, and not read what it publishes.
    blind = mint(KEY, publish=["*"], subscribe=["/else"])
    found = json.loads(shell.run(f"barestream smoke --json --token {blind}").stdout)
    assert found["failed"] == "a published update arrives"
    assert "did not get it within 5 s" in found["cause"]
    refused = shell.run(f"barestream smoke --url http://127.0.0.1:{free_port()} --retry-seconds 0")
    assert (refused.returncode, "nothing listens there" in refused.stderr) == (4, True)
    assert len(refused.stderr.splitlines()) == 3


def test_commands_of_a_client_need_no_settings_of_the_service(shell: CommandLine) -> None:
    shell.environment["BARESTREAM_WORKERS"] = "none"
    (shell.home / ".env").write_text("no statement\n")
    assert shell.run("barestream publish news x").returncode == 0
    fails(shell, "barestream settings --check", 1, "expected NAME=value")


def test_a_shell_completes_the_commands(shell: CommandLine) -> None:
    shell.environment |= {"COMP_WORDS": "barestream pub", "COMP_CWORD": "1"}
    completed = shell.run("_BARESTREAM_COMPLETE=bash_complete barestream").stdout
    assert "publish" in completed


def test_dev_needs_nothing_and_says_what_to_do() -> None:
    port = free_port()
    with CommandLine(BARESTREAM_BIND=f"127.0.0.1:{port}") as shell:
        with shell.start("exec barestream dev") as running:
            assert running.stdout
            told = ""
            for line in running.stdout:
                told += line
                if "ends with this process" in line:
                    break
            exports = [line.strip() for line in told.splitlines() if "export " in line]
            [publish] = [line for line in told.splitlines() if line.startswith("  publish")]
            command = "; ".join([*exports, publish.split(None, 1)[1]])
            assert shell.run(command.replace("curl ", "curl -sSf ")).stdout.startswith("#")
            shown = shell.run(
                f"{'; '.join(exports)}; barestream tail news --from earliest --count 1"
            )
            assert shown.stdout.endswith("news  Hello\n"), shown.stderr
            fails(shell, "barestream dev", 1, "this address cannot be used")
            fails(shell, "BARESTREAM_WORKERS=2 barestream dev", 1, "expected 1, because")
            running.send_signal(signal.SIGINT)
            _, errors = running.communicate(timeout=20)
        assert (running.returncode, errors) == (0, "")

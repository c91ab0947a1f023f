"""Each command where no hub answers it, or one that refuses: a clear line, and an exit code."""

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from typing import NamedTuple

import pytest

from barestream_client import mint
from support.clients.command_line import CommandLine
from support.clients.publisher import KEY
from support.servers.authority import Authority
from support.servers.bound import Bound
from support.servers.http_server import http_server
from support.servers.programs import give_up
from support.servers.service import free_port

COMMANDS = {
    "publish": "publish news x --retry-seconds 0 --url {url}",
    "tail": "tail news --retry-seconds 0 --url {url}",
    "smoke": "smoke --retry-seconds 0 --url {url}",
    "revoke": "revoke {url} --sub alice",
    "load": "load {url} --streams 1 --seconds 1 --publish 5",
    "doctor": "doctor --quick {url}",
}


class Fault(NamedTuple):
    """What keeps a command from its hub.

    Attributes:
        words: An expression for what a command says.
        code: The exit code of most commands.
        of_load: That of load, which reports that no stream was opened.
        of_doctor: That of doctor, which reports what it found.
    """

    words: str
    code: int
    of_load: int
    of_doctor: int


FAULTS = {
    "malformed": Fault("'nonsense'.* expected", 3, 3, 3),
    "no host": Fault(
        "finds no host of that name|no address was found|Name or service not known", 3, 3, 4
    ),
    "nothing listens": Fault("nothing listens there|[Cc]onnection refused", 4, 1, 4),
    "no route": Fault("[Nn]etwork is unreachable", 4, 1, 4),
    "untrusted": Fault("TLS fails: its certificate is not trusted", 3, 1, 4),
    "no TLS": Fault("TLS fails: the server there does not speak TLS; is it a URL of http", 3, 1, 4),
    "no HTTP": Fault("does not speak HTTP|is not HTTP", 3, 1, 4),
    "another server": Fault("no answer of a hub: check the URL|the answer (is|was) 404", 3, 1, 3),
}


@pytest.fixture(scope="module")
def service() -> Iterator[Bound]:
    with Bound(token_key=KEY) as bound:
        yield bound


@pytest.fixture
def shell() -> Iterator[CommandLine]:
    token = mint(KEY, publish=["*"], subscribe=["*"])
    with CommandLine(BARESTREAM_TOKEN=token, COLUMNS="1000") as shell:
        yield shell


@pytest.fixture(scope="module")
def no_http() -> Iterator[str]:
    """Return the URL of a server of mail."""

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.sendall(b"220 mail.example ESMTP\r\n\r\n")
            # A close before all was read would be a reset, which might overtake the line.
            client.recv(65_536)
            client.close()

    with socket.create_server(("127.0.0.1", free_port())) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Return the port of a server of files, and of the same with TLS behind it."""
    folder = tmp_path_factory.mktemp("files")
    handler = partial(_Files, directory=str(folder))
    with http_server(handler) as port:
        yield port


@pytest.fixture(scope="module")
def untrusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Return the port of a server whose certificate nobody trusts."""
    folder = tmp_path_factory.mktemp("authority")
    Authority(folder).issue(folder / "pair")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "pair/fullchain.pem", folder / "pair/privkey.pem")
    with http_server(_Files, tls=context) as port:
        yield port


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def urls(service: Bound, no_http: str, other_server: int, untrusted: int) -> dict[str, str]:
    return {
        "malformed": "nonsense",
        "no host": "http://no-such-host.invalid",
        "nothing listens": f"http://127.0.0.1:{free_port()}",
        # An address for documentation (RFC 5737).
        "no route": "http://198.51.100.7",
        "untrusted": f"https://127.0.0.1:{untrusted}",
        "no TLS": service.url.replace("http:", "https:"),
        "no HTTP": no_http,
        "another server": f"http://127.0.0.1:{other_server}",
    }


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", FAULTS)
def test_where_no_hub_is_a_command_says_why_and_has_an_exit_code(
    shell: CommandLine, urls: dict[str, str], name: str, command: str
) -> None:
    fault = FAULTS[name]
    within = ""
    if name == "no route":
        # A network of its own, which leads nowhere.
        within = "unshare --user --map-root-user --net "
        if shell.run(f"{within} true").returncode:
            give_up("no network namespace")
    done = shell.run(f"{within}barestream {COMMANDS[command].format(url=urls[name])}")
    code = {"load": fault.of_load, "doctor": fault.of_doctor}.get(command, fault.code)
    assert done.returncode == code, done.stdout + done.stderr
    # load and doctor report what they found; the others say nothing but what is wrong.
    is_reported = command in {"load", "doctor"} and name != "malformed"
    said = " ".join((done.stdout + done.stderr).split())
    assert re.search(fault.words, said), said
    assert "Traceback" not in said
    if not is_reported:
        assert done.stdout == ""
        # smoke says its step, the cause and the remedy.
        lines = 3 if command == "smoke" and name != "malformed" else 1
        assert len(done.stderr.splitlines()) == lines


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (COMMANDS["publish"], 5, "was answered with 403: The token does not allow publishing"),
        ("publish news --lines --file lines --retry-seconds 0 --url {url}", 5, "with 403"),
        (COMMANDS["smoke"], 5, "was answered with 403"),
        (COMMANDS["revoke"], 5, "403 Forbidden: The token does not have the right to operate"),
        (COMMANDS["load"], 1, "publishes were not accepted: 403"),
        (COMMANDS["publish"] + " --token nonsense", 5, "was answered with 401"),
        (COMMANDS["tail"] + " --token nonsense", 5, "was answered with 401"),
    ],
)
def test_a_token_without_the_right_is_said(
    service: Bound, shell: CommandLine, line: str, code: int, words: str
) -> None:
    shell.environment["BARESTREAM_TOKEN"] = mint(KEY, publish=["/else"], subscribe=["/else"])
    (shell.home / "lines").write_text("a\n")
    done = shell.run(f"barestream {line.format(url=service.url)}")
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


# DEL and C1 are no characters that JSON has to escape; the others turn the text around, or hide.
HOSTILE_DATA = "x\x7f \x9b2J \x85 \u202e \u2028 \U000e0041 \u00fc \U0001f600"

HOSTILE_STREAM = f"event: \x1b[2J\nid: #1-1;%1B[2J\ndata: {HOSTILE_DATA}\n\n".encode()


class _Hostile(_Files):
    """Answers with text that would command a terminal."""

    def do_GET(self) -> None:
        if self.path.startswith("/.well-known/mercure?topic=stream"):
            self._answer(200, "text/event-stream", HOSTILE_STREAM)
        else:
            detail = json.dumps({"detail": "no\x1b]0;title\x07 \x9b2J"}).encode()
            self._answer(400, "application/problem+json", detail)

    def do_POST(self) -> None:
        self.do_GET()

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def hostile() -> Iterator[str]:
    """Return the URL of a server that is no friend."""
    with http_server(_Hostile) as port:
        yield f"http://127.0.0.1:{port}"


# The doctor quotes headers alone.
@pytest.mark.parametrize(
    "command", ["tail of a stream", "health", *(each for each in COMMANDS if each != "doctor")]
)
def test_nothing_that_a_server_says_commands_the_terminal(
    shell: CommandLine, hostile: str, command: str
) -> None:
    commands = {
        **COMMANDS,
        "tail of a stream": "tail stream --count 1 --url {url}",
        "health": "health",
    }
    shell.environment["BARESTREAM_BIND"] = hostile.removeprefix("http://")
    done = shell.run(f"barestream {commands[command].format(url=hostile)}")
    said = done.stdout + done.stderr
    assert "\ufffd" in said, said
    assert [each for each in said if not each.isprintable() and each != "\n"] == []


def test_a_line_of_json_does_not_command_the_terminal_and_has_the_whole_event(
    shell: CommandLine, hostile: str
) -> None:
    done = shell.run(f"barestream tail stream --count 1 --json --url {hostile}")
    [line] = done.stdout.splitlines()
    assert line.isprintable(), line
    event = json.loads(line)
    assert (event["type"], event["data"]) == ("\x1b[2J", HOSTILE_DATA)
    # What people read is as it was sent.
    assert "\u00fc \U0001f600" in line


@pytest.mark.parametrize("name", ["nothing listens", "another server", "no HTTP", "malformed"])
def test_health_says_why_the_service_is_not_ready(
    shell: CommandLine, urls: dict[str, str], name: str
) -> None:
    address = urls[name].removeprefix("http://")
    done = shell.run(f"BARESTREAM_BIND={address} barestream health")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    words = {
        "nothing listens": "is the service running?",
        "another server": "/readyz answers 404: another server listens there",
        "no HTTP": "no answer of HTTP comes ('220 mail.example ESMTP'): another server",
        "malformed": "BARESTREAM_BIND='nonsense': expected host:port",
    }
    assert words[name] in done.stderr


def test_health_names_the_path_that_it_asked_another_server(
    shell: CommandLine, urls: dict[str, str]
) -> None:
    address = urls["another server"].removeprefix("http://")
    done = shell.run(f"BARESTREAM_BIND={address} barestream health --alive")
    assert done.returncode == 1
    assert "/healthz answers 404: another server listens there" in done.stderr


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (500, "text/plain", "without a reason"),
        (429, "application/problem+json", "Too many requests."),
        # Other servers have a detail in JSON too.
        (404, "application/json", "another server listens there"),
    ],
)
def test_health_takes_no_error_of_a_worker_for_another_server(
    shell: CommandLine, status: int, kind: str, words: str
) -> None:
    body = b'{"detail": "Too many requests."}'

    class Answering(_Files):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

    with http_server(Answering) as port:
        done = shell.run(f"BARESTREAM_BIND=127.0.0.1:{port} barestream health")
    said = f"127.0.0.1:{port}: /readyz answers {status}: {words}\n"
    assert (done.returncode, done.stderr) == (1, said)


WRITING = {
    **COMMANDS,
    "tail": "tail news --from earliest --url {url}",
    # It tells the same of a server that is not there, and sooner.
    "doctor": "doctor --quick http://127.0.0.1:1",
    "smoke of programs": "smoke --json --url {url}",
    "load of programs": "load {url} --streams 1 --seconds 1 --topic news --json -",
    "context": "context add here --url {url}",
    "token": "token --publish news",
    "settings": "settings",
    "help": "--help",
    "version": "--version",
    "help of a command": "publish --help",
}


@pytest.mark.parametrize("command", WRITING)
def test_a_command_whose_output_is_closed_ends_as_other_programs_do(
    service: Bound, shell: CommandLine, command: str
) -> None:
    if command in {"revoke", "token"}:
        del shell.environment["BARESTREAM_TOKEN"]
        shell.environment["BARESTREAM_TOKEN_KEY"] = KEY
    shell.run(f"barestream publish news x --url {service.url} --token {mint(KEY, publish=['*'])}")
    done = shell.run(
        # Nobody reads any more when the command begins.
        "exec 3> >(true); wait $!; "
        f"barestream {WRITING[command].format(url=service.url)} >&3; echo $?"
    )
    assert (done.stdout, done.stderr) == ("141\n", "Who read the output has closed it.\n")


def test_a_reader_that_leaves_ends_a_tail(service: Bound, shell: CommandLine) -> None:
    (shell.home / "lines").write_text("x\n" * 5000)
    shell.run(f"barestream publish /pipe --lines --file lines --url {service.url}")
    done = shell.run(
        f"barestream tail /pipe --from earliest --json --url {service.url} | head -n 1 >first; "
        "echo ${PIPESTATUS[0]}"
    )
    assert (done.stdout, done.stderr) == ("141\n", "Who read the output has closed it.\n")


def test_an_output_that_cannot_be_written_is_said(service: Bound, shell: CommandLine) -> None:
    done = shell.run(f"barestream publish news x --url {service.url} >/dev/full")
    assert (done.returncode, done.stderr) == (1, "Error: No space left on device\n")

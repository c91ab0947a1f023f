"""The proxies that the manual puts in front of the hub, run with its configurations."""

import shlex
import subprocess
from contextlib import suppress

from support.manual.machine import Machine
from support.manual.pages import PROXIES, ROOT, Step
from support.servers.programs import path_of
from support.servers.service import PATIENCE_SECONDS, json_lines, wait_for

# As a client at an address of its own: the stream's first event comes at once, and then nothing for
# 15 s. A proxy that holds back holds that event.
_CLIENT = "127.0.0.9"
_READER = f"""
import http.client, sys, time
path = "/.well-known/mercure?topic=news&heartbeat=event"
for _ in range(600):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", 80, source_address=("{_CLIENT}", 0))
        connection.request("GET", path)
        answer = connection.getresponse()
        break
    except OSError:
        time.sleep(0.1)
else:
    sys.exit("the proxy does not listen")
assert answer.status == 200, (answer.status, answer.read())
body = b""
while b"event: barestream.heartbeat" not in body:
    read = answer.read1()
    assert read, ("the stream ended", body)
    body += read
connection.close()
"""

# A package makes folders of its own for these.
_PATHS = "".join(
    f"{name}_temp_path {name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


class Front:
    """The proxy that runs at present, if one does.

    Args:
        machine: Where it runs.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._running: subprocess.Popen[bytes] | None = None

    def start(self, step: Step) -> None:
        """Run a configuration in place of the one before, and read a stream through it."""
        self.stop()
        self._running = self._machine.start(f"exec {shlex.join(self._command(step))}")
        streams = self._streams_ended()
        try:
            self._machine.run(f"timeout {PATIENCE_SECONDS} python3 -c {shlex.quote(_READER)}")
        except AssertionError as error:
            raise AssertionError(
                f"{step.place}: {error}\n{self._machine.last_log.read_text()}"
            ) from None
        wait_for(
            f"{step.place}: the client's own address in the hub's log",
            lambda: self._streams_ended() > streams,
        )

    def stop(self) -> None:
        """End the proxy that runs."""
        if self._running is not None:
            with suppress(ProcessLookupError):
                self._running.terminate()
            self._running.wait(PATIENCE_SECONDS)
            self._running = None

    def _streams_ended(self) -> int:
        """Return how many streams of the client the hub has logged."""
        log = self._machine.checkout / ".run/app.log"
        return sum(
            line["message"] == "stream ended" and line["client"] == _CLIENT
            for line in json_lines(log)
        )

    def _command(self, step: Step) -> list[str]:
        path = self._machine.save(step.title, step.text)
        folder = self._machine.folder / "front"
        folder.mkdir(exist_ok=True)
        if step.language == "nginx":
            program = subprocess.check_output([ROOT / "scripts/nginx-binary"], text=True).strip()
            # What a packaged nginx has around the files of sites.
            around = f"events {{}}\nhttp {{\naccess_log off;\n{_PATHS}include {path};\n}}\n"
            path = self._machine.save(f"whole-{step.title}", around)
            options = "daemon off; error_log stderr; pid nginx.pid; user root;"
            return [program, "-p", str(folder), "-c", str(path), "-e", "stderr", "-g", options]
        program = path_of(PROXIES[step.language], PROXIES[step.language])
        return {
            "caddyfile": [program, "run", "--config", str(path), "--adapter", "caddyfile"],
            "apache": [program, "-d", str(folder), "-f", str(path), "-DFOREGROUND"],
            "haproxy": [program, "-f", str(path)],
        }[step.language]

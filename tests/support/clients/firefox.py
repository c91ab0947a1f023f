"""A driver of Firefox by WebDriver BiDi: https://w3c.github.io/webdriver-bidi/."""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from websockets.sync.client import ClientConnection, connect

from support.clients.insecure_host import HOST
from support.servers.service import wait_for

_STARTS_WITHIN_SECONDS = 60
_ANSWERS_WITHIN_SECONDS = 30


class Firefox:
    """One tab of a Firefox that runs; its other tabs share the connection.

    Attributes:
        pid: The process that is the parent of all others.
    """

    def __init__(self, socket: ClientConnection, pid: int) -> None:
        self._socket = socket
        self.pid = pid
        self._ids = itertools.count(1)
        # Certificates of the tests' own authority.
        self.command("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        [tab, *_] = self.command("browsingContext.getTree")["contexts"]
        self._tab = tab["context"]

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command; return its result."""
        command_id = next(self._ids)
        self._socket.send(json.dumps({"id": command_id, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(_ANSWERS_WITHIN_SECONDS))
            if answer.get("id") == command_id:
                assert answer["type"] == "success", answer
                result: dict[str, Any] = answer["result"]
                return result

    def new_tab(self) -> "Firefox":
        """Open another tab in the same window; return a driver of it."""
        driver = copy(self)
        driver._tab = self.command("browsingContext.create", type="tab")["context"]
        return driver

    def close(self) -> None:
        """Close the tab."""
        self.command("browsingContext.close", context=self._tab)

    def before_each_page(self, script: str) -> None:
        """Have a script run in every page from now on, before the page's own ones."""
        self.command("script.addPreloadScript", functionDeclaration=f"() => {{ {script} }}")

    def navigate(self, url: str) -> None:
        """Load a page in the tab."""
        self.command("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def reload(self) -> None:
        """Load the tab's page again."""
        self.command("browsingContext.reload", context=self._tab, wait="complete")

    def go(self, steps: int) -> None:
        """Go through the tab's history: forward, or back where the number is negative."""
        self.command("browsingContext.traverseHistory", context=self._tab, delta=steps)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the tab's page."""
        answer = self.command(
            "script.evaluate",
            expression=f"JSON.stringify({expression})",
            target={"context": self._tab},
            awaitPromise=False,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])


@contextmanager
def running_firefox(program: str) -> Iterator[Firefox]:
    """Run a headless Firefox with a profile of its own, as long as the context lasts."""
    with TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "stderr.log"
        (Path(folder) / "user.js").write_text(f'user_pref("network.dns.localDomains", "{HOST}");\n')
        options = ["--headless", "--remote-debugging-port", "0", "--profile", folder]
        with (
            log.open("w") as output,
            subprocess.Popen([program, *options], stdout=output, stderr=output) as process,
        ):
            try:
                address = wait_for("Firefox", lambda: _address(log), _STARTS_WITHIN_SECONDS)
                # What a page hands over may be of any size. Default 1 MiB.
                with connect(f"{address}/session", proxy=None, max_size=None) as socket:
                    browser = Firefox(socket, process.pid)
                    yield browser
                    browser.command("session.end")
            finally:
                process.terminate()


def _address(log: Path) -> str | None:
    listening = re.search(r"BiDi listening on (ws://\S+)", log.read_text())
    return listening and listening[1]

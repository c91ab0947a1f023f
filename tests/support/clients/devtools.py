"""Chromium by the DevTools protocol alone: https://chromedevtools.github.io/devtools-protocol/.

Playwright has each of its pages focused, and Chromium freezes no page that can be seen.
"""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from websockets.sync.client import ClientConnection, connect

from support.servers.service import wait_for

_STARTS_WITHIN_SECONDS = 60
_ANSWERS_WITHIN_SECONDS = 30


class DevTools:
    """One tab of a Chromium that runs."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._session: str | None = None
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        attached = self.command("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.command("Page.enable")

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command; return its result."""
        command_id = next(self._ids)
        message = {"id": command_id, "method": method, "params": params}
        self._socket.send(
            json.dumps(message | ({"sessionId": self._session} if self._session else {}))
        )
        while True:
            answer = json.loads(self._socket.recv(_ANSWERS_WITHIN_SECONDS))
            if answer.get("id") == command_id:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str) -> None:
        """Load a page."""
        self.command("Page.navigate", url=url)
        wait_for("the page", lambda: self.evaluate("document.readyState") == "complete")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def hide(self) -> None:
        """Open another tab in front of this one."""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self.command("Target.activateTarget", targetId=target)
        wait_for("a hidden page", lambda: self.evaluate("document.visibilityState") == "hidden")

    def show(self) -> None:
        """Bring the tab to the front again."""
        self.command("Page.bringToFront")
        wait_for("the page again", lambda: self.evaluate("document.visibilityState") == "visible")

    def freeze(self) -> None:
        """Stop all tasks of the page, which must be hidden."""
        self.command("Page.setWebLifecycleState", state="frozen")

    def resume(self) -> None:
        """Let them go on."""
        self.command("Page.setWebLifecycleState", state="active")


@contextmanager
def running_devtools(program: str) -> Iterator[DevTools]:
    """Run a headless Chromium with a profile of its own, as long as the context lasts."""
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "stderr.log"
        options = [
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--remote-debugging-port=0"),
            f"--user-data-dir={folder}/profile",
        ]
        with (
            log.open("w") as output,
            subprocess.Popen([program, *options], stdout=output, stderr=output) as process,
        ):
            try:
                found = wait_for(
                    "Chromium",
                    lambda: re.search(r"listening on (ws://\S+)", log.read_text()),
                    _STARTS_WITHIN_SECONDS,
                )
                with connect(found[1], proxy=None, max_size=None) as socket:
                    yield DevTools(socket)
            finally:
                process.terminate()

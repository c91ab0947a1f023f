"""Centrifugo: a server of Go; its module, built."""

import json
import shutil
from pathlib import Path
from urllib.parse import quote

from bench.servers.cache import MissingError, made_from, run
from bench.servers.peer import Peer
from bench.servers.process import Process
from bench.servers.server import request

_HERE = Path(__file__).parent
_SCRIPT = _HERE / "centrifugo-package"
_CONFIGURATION = _HERE / "centrifugo.json"

_API_KEY = "a key of the bench"

# A build takes two minutes of CPU, and its modules have to be got first.
_BUILD_SECONDS = 1200


class Centrifugo(Peer):
    """Its unidirectional transport of Server-Sent Events, and its HTTP API.

    In `centrifugo.json` clients need no token, as ours need none here, and a refused publish has a
    status that says so: by default it is answered with 200. An event is a line of JSON, with what
    was published in it as a string.
    """

    name = "Centrifugo"
    key = "centrifugo"

    @classmethod
    def install(cls, cache: Path) -> Path:
        """Have it built."""
        if shutil.which("go") is None:
            raise MissingError("go is missing: install Go 1.26 or later")
        return made_from(
            _SCRIPT,
            cache / "centrifugo",
            lambda folder: run(_SCRIPT, folder, most_seconds=_BUILD_SECONDS),
        )

    @classmethod
    def versions(cls, installed: Path) -> dict[str, str]:
        """Return its own, and that of the Go that built it."""
        # "PROGRAM: go1.26.8", then lines of "mod MODULE VERSION SUM" and others; the program itself
        # knows its version only where its makers built it.
        text = run("go", "version", "-m", installed / "centrifugo")
        first, *lines = (line.split() for line in text.splitlines())
        [module] = [line for line in lines if line[0] == "mod"]
        return {"centrifugo": module[2].removeprefix("v"), "go": first[-1].removeprefix("go")}

    def process(self, folder: Path) -> Process:
        """Return what is to run."""
        text = _CONFIGURATION.read_text()
        text = text.replace("@PORT@", str(self._port)).replace("@KEY@", _API_KEY)
        configuration = folder / "centrifugo.json"
        configuration.write_text(text)
        return Process(self._installed / "centrifugo", "--config", configuration)

    def get(self, topic: str) -> str:
        """Return a stream's request target."""
        connect = json.dumps({"subs": {topic: {}}})
        return f"/connection/uni_sse?cf_connect={quote(connect, safe='')}"

    def post(self, topic: str, data: str) -> bytes:
        """Return a request that publishes."""
        body = json.dumps({"channel": topic, "data": data})
        return request(
            "/api/publish", body, "Content-Type: application/json", f"X-API-Key: {_API_KEY}"
        )

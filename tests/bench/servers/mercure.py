"""Mercure's hub: a module of Caddy, in Go. It is in no package registry, so it is built by hand."""

from pathlib import Path
from urllib.parse import quote, urlencode

from bench.servers.cache import run
from bench.servers.peer import Peer
from bench.servers.process import Process
from bench.servers.server import request
from support.clients.publisher import ISSUER, KEY, PATH, RESOURCE, access_token

_CONFIGURATION = Path(__file__).parent / "mercure.caddyfile"

# Longer than any run.
_TOKEN_SECONDS = 86_400


class Mercure(Peer):
    """`mercure.caddyfile`, of a program of version 1.0 or later.

    Args:
        installed: The program.
        is_durable: Whether an update is on the disk before its publish is answered, by the
            transport that is the hub's default. Else the hub has no history.
    """

    key = "mercure"

    def __init__(self, installed: Path, is_durable: bool = False) -> None:
        super().__init__(installed)
        self.name = "Mercure's hub with Bolt" if is_durable else "Mercure's hub"
        self._is_durable = is_durable
        self._token = access_token("*", seconds=_TOKEN_SECONDS)

    @classmethod
    def versions(cls, installed: Path) -> dict[str, str]:
        """Return the module's, and Caddy's."""
        modules = dict(
            line.split()
            for line in run(installed, "list-modules", "--versions").splitlines()
            if line.startswith("http.handlers.mercure ")
        )
        caddy, *_ = run(installed, "version").split()
        return {
            "mercure": modules["http.handlers.mercure"].removeprefix("v"),
            "caddy": caddy.removeprefix("v"),
        }

    def process(self, folder: Path) -> Process:
        """Return what is to run."""
        # It keeps all events by default; ours keeps 100,000.
        bolt = f"bolt {{\n\t\t\tpath {folder}/mercure.db\n\t\t\tsize 100000\n\t\t}}"
        text = _CONFIGURATION.read_text()
        for name, value in {
            "PORT": str(self._port),
            "TRANSPORT": bolt if self._is_durable else "local",
            "RESOURCE": RESOURCE,
            "ISSUER": ISSUER,
            "KEY": KEY,
        }.items():
            text = text.replace(f"@{name}@", value)
        configuration = folder / "Caddyfile"
        configuration.write_text(text)
        command = (self._installed, "run", "--adapter", "caddyfile", "--config", configuration)
        # Caddy keeps files of its own there.
        folders = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(folder))
        return Process(*command, **folders)

    def get(self, topic: str) -> str:
        """Return a stream's request target."""
        return f"{PATH}?match={quote(topic, safe='')}"

    def post(self, topic: str, data: str) -> bytes:
        """Return a request that publishes."""
        return request(
            PATH,
            urlencode({"topic": topic, "data": data}),
            "Content-Type: application/x-www-form-urlencoded",
            f"Authorization: Bearer {self._token}",
        )

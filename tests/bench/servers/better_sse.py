"""better-sse: a library of Node."""

import json
import shutil
from pathlib import Path

from bench.servers.cache import made_from, program, run
from bench.servers.peer import Peer
from bench.servers.process import Process

_HERE = Path(__file__).parent / "better-sse"
_LOCK = _HERE / "package-lock.json"
_SERVER = _HERE / "server.mjs"


class BetterSse(Peer):
    """`better-sse/server.mjs`."""

    name = key = "better-sse"

    @classmethod
    def install(cls, cache: Path) -> Path:
        """Have its packages."""
        program("node", "nodejs")
        program("npm", "npm")
        return made_from(_LOCK, cache / "better-sse", _install)

    @classmethod
    def versions(cls, installed: Path) -> dict[str, str]:
        """Return its own, and Node's."""
        manifest = installed / "node_modules/better-sse/package.json"
        return {
            "better-sse": json.loads(manifest.read_text())["version"],
            "node": run(program("node", "nodejs"), "--version").strip().removeprefix("v"),
        }

    def process(self, _: Path) -> Process:
        """Return what is to run."""
        # Node looks for packages above the program.
        script = shutil.copy(_SERVER, self._installed)
        place = str(self._socket or self._port)
        return Process(program("node", "nodejs"), script, place, NODE_ENV="production")


def _install(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_HERE / name, folder)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)

"""What exactly is compared."""

import json
import platform
from importlib.metadata import version
from pathlib import Path

from bench.servers.better_sse import BetterSse
from bench.servers.cache import program, run
from bench.servers.nchan import NChan
from bench.servers.nginx import installed_nginx
from bench.servers.sse_starlette import SseStarlette


def versions(cache: Path) -> dict[str, str]:
    """Return the version of each server, and of what they run on."""
    nchan, better_sse = NChan.install(cache), BetterSse.install(cache)
    [package] = nchan.glob("libnginx-mod-nchan_*.deb")
    manifest = better_sse / "node_modules/better-sse/package.json"
    query = "from importlib.metadata import version; print(version('sse-starlette'))"
    return {
        "nginx": run(installed_nginx(), "-v").strip().rpartition("/")[2],
        "nchan": run("dpkg-deb", "--field", package, "Version").strip(),
        "better-sse": json.loads(manifest.read_text())["version"],
        "node": run(program("node", "nodejs"), "--version").strip().removeprefix("v"),
        "sse-starlette": run(SseStarlette.install(cache) / "bin/python", "-c", query).strip(),
        "uvicorn": version("uvicorn"),
        "uvloop": version("uvloop"),
        "httptools": version("httptools"),
        "gunicorn": version("gunicorn"),
        "python": platform.python_version(),
        "cc": run(program("cc", "gcc"), "-dumpfullversion").strip(),
    }

"""nchan: publish and subscribe within nginx, in C; Debian's package."""

from pathlib import Path
from urllib.parse import quote

from bench.servers.cache import made_from, run
from bench.servers.limits import open_files
from bench.servers.nginx import nginx_in
from bench.servers.peer import Peer
from bench.servers.process import Process
from bench.servers.server import request

_HERE = Path(__file__).parent
_SCRIPT = _HERE / "nchan-package"
_CONFIGURATION = _HERE / "nchan.conf"
_BINARY = "usr/sbin/nginx"
_MODULE = "usr/lib/nginx/modules/ngx_nchan_module.so"


class NChan(Peer):
    """nginx with the module, and `nchan.conf`."""

    name = key = "nchan"

    @classmethod
    def install(cls, cache: Path) -> Path:
        """Have both packages unpacked."""
        return made_from(_SCRIPT, cache / "nchan", lambda folder: run(_SCRIPT, folder))

    @classmethod
    def versions(cls, installed: Path) -> dict[str, str]:
        """Return the package's."""
        [package] = installed.glob("libnginx-mod-nchan_*.deb")
        return {"nchan": run("dpkg-deb", "--field", package, "Version").strip()}

    def process(self, folder: Path) -> Process:
        """Return what is to run."""
        text = _CONFIGURATION.read_text()
        text = text.replace("@PORT@", str(self._port))
        text = text.replace("@MODULE@", str(self._installed / _MODULE))
        text = text.replace("@CONNECTIONS@", str(open_files()))
        configuration = folder / "nginx.conf"
        configuration.write_text(text)
        return nginx_in(folder, self._installed / _BINARY, configuration)

    def get(self, topic: str) -> str:
        """Return a stream's request target."""
        return f"/subscribe?topic={quote(topic, safe='')}"

    def post(self, topic: str, data: str) -> bytes:
        """Return a request that publishes."""
        return request(f"/publish?topic={quote(topic, safe='')}", data)

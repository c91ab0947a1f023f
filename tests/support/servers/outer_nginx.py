"""An nginx in front of a service or an app, as a load balancer or a site's own server is."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.servers.service import ROOT, Answering, wait_for

_CONFIGURATION = """
events {{ worker_connections 256; }}
pid outer.pid;
error_log stderr warn;
http {{
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    access_log off;
    server {{
        listen 127.0.0.1:{port}{tls};
        location {path} {{
            proxy_pass http://127.0.0.1:{inner}{rest};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


class OuterNginx(Answering):
    """The outer nginx, once it runs.

    Args:
        path: The path below which it serves what is behind it.
        scheme: http or https.
        folder: For its files.
    """

    def __init__(self, path: str, scheme: str, folder: Path) -> None:
        super().__init__()
        self._path = path
        self._scheme = scheme
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of what is behind it, without a slash at the end."""
        host, port = self.address
        return f"{self._scheme}://{host}:{port}{self._path.rstrip('/')}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        binary = subprocess.check_output([ROOT / "scripts/nginx-binary"], text=True).strip()
        configuration = self._folder / "nginx.conf"
        self._process = subprocess.Popen(
            [binary, "-p", self._folder, "-c", configuration, "-g", "daemon off;"]
        )
        wait_for("the outer nginx", self.is_listening)

    def stop(self) -> None:
        """End it, and cut all its connections."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


@contextmanager
def outer_nginx(
    service: Answering, folder: Path, path: str = "/", pair: Path | None = None
) -> Iterator[OuterNginx]:
    """Run one with stock buffering.

    Args:
        service: Where it leads.
        folder: For its files.
        path: It takes this off where it is not the root.
        pair: The folder of fullchain.pem and privkey.pem; with it, it speaks TLS.
    """
    outer = OuterNginx(path, "https" if pair else "http", folder)
    tls = f" ssl; ssl_certificate {pair}/fullchain.pem; ssl_certificate_key {pair}/privkey.pem"
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(
            port=outer.port,
            inner=service.port,
            path=path,
            rest="" if path == "/" else "/",
            tls=tls if pair else "",
        )
    )
    try:
        outer.start()
        yield outer
    finally:
        outer.stop()

"""An nginx in front of the service's own, as a load balancer or another site's server is."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.servers.service import Answering, Service, wait_for

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
    """The outer nginx.

    Args:
        path: The path below which it serves the service.
        scheme: http or https.
    """

    def __init__(self, path: str, scheme: str) -> None:
        super().__init__()
        self._path = path
        self._scheme = scheme

    @property
    def url(self) -> str:
        """The service's address behind it, without a slash at the end."""
        host, port = self.address
        return f"{self._scheme}://{host}:{port}{self._path.rstrip('/')}"


@contextmanager
def outer_nginx(
    service: Service, folder: Path, path: str = "/", pair: Path | None = None
) -> Iterator[OuterNginx]:
    """Run one with stock buffering.

    Args:
        service: Where it leads.
        folder: For its files.
        path: It takes this off where it is not the root.
        pair: The folder of fullchain.pem and privkey.pem; with it, it speaks TLS.
    """
    outer = OuterNginx(path, "https" if pair else "http")
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
    binary = Path(f"/proc/{service.nginx_pid}/exe").resolve()
    with subprocess.Popen(
        [binary, "-p", folder, "-c", folder / "nginx.conf", "-g", "daemon off;"]
    ) as process:
        try:
            wait_for("the outer nginx", outer.is_listening)
            yield outer
        finally:
            process.terminate()

"""An nginx in front of a service or an app, as a load balancer or a site's own server is."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.servers.service import ROOT, Answering, wait_for

_CONFIGURATION = """
{user}
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
        {locations}
    }}
}}
"""

_LOCATION = """
        location {path} {{
            proxy_pass http://127.0.0.1:{inner}{rest};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
"""

_PAGES = """
        location / {{
            root {folder};
            types {{ text/html html; text/javascript js; application/json json; text/plain txt; }}
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
    service: Answering,
    folder: Path,
    path: str = "/",
    pair: Path | None = None,
    site: Answering | None = None,
) -> Iterator[OuterNginx]:
    """Run one with stock buffering.

    Args:
        service: Where it leads.
        folder: For its files.
        path: It takes this off where it is not the root.
        pair: The folder of fullchain.pem and privkey.pem; with it, it speaks TLS, and HTTP/2 too.
        site: Where /site/ leads.
    """
    outer = OuterNginx(path, "https" if pair else "http", folder)
    tls = (
        f" ssl http2; ssl_certificate {pair}/fullchain.pem; ssl_certificate_key {pair}/privkey.pem"
    )
    locations = _LOCATION.format(path=path, inner=service.port, rest="" if path == "/" else "/")
    if site:
        locations += _LOCATION.format(path="/site/", inner=site.port, rest="")
    with _running(outer, folder, locations, tls if pair else ""):
        yield outer


@contextmanager
def site_nginx(pages: Path, folder: Path, behind: dict[str, Answering]) -> Iterator[OuterNginx]:
    """Run one that serves the pages of a site, and passes some paths on.

    Args:
        pages: The folder with the pages.
        folder: For its files.
        behind: By the beginning of a path: what answers there.
    """
    outer = OuterNginx("/", "http", folder)
    passed = [
        _LOCATION.format(path=path, inner=each.port, rest="") for path, each in behind.items()
    ]
    with _running(outer, folder, "".join([*passed, _PAGES.format(folder=pages)])):
        yield outer


@contextmanager
def _running(outer: OuterNginx, folder: Path, locations: str, tls: str = "") -> Iterator[None]:
    # Its workers read pages in folders that root alone may enter.
    user = "user root root;" if os.geteuid() == 0 else ""
    configuration = _CONFIGURATION.format(user=user, port=outer.port, locations=locations, tls=tls)
    (folder / "nginx.conf").write_text(configuration)
    try:
        outer.start()
        yield
    finally:
        outer.stop()

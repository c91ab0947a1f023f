"""The paths to the app: each proxy as it is installed, or with one fault."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from support.servers import node_packages
from support.servers.programs import path_of
from support.servers.service import ROOT, Answering, wait_for

_HERE = Path(__file__).parent
_DEVELOPMENT_SERVER = ROOT / "tests/clients"

# How long the proxies have to end.
_STOP_SECONDS = 3

# Writes the configuration of a proxy before a port into its folder, and returns its command line.
Setup = Callable[[int, int, Path], list[str]]

_NGINX = """
{user}
daemon off;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    access_log off;
{servers}
}}
"""

_SERVER = """
    server {{
        listen 127.0.0.1:{port}{tls};
        location / {{
            proxy_pass http://127.0.0.1:{to};
            {directives}
        }}
    }}
"""

# What nginx needs to speak HTTP/1.1 to an app.
HTTP11 = 'proxy_http_version 1.1; proxy_set_header Connection "";'
DEAF = "proxy_ignore_headers X-Accel-Buffering;"


def nginx(directives: str = "", *, tls: bool = False) -> Setup:
    """Return an nginx with these directives beside proxy_pass; with TLS it speaks HTTP/2 too."""

    def setup(port: int, to: int, folder: Path) -> list[str]:
        return _nginx(folder, _server(port, to, directives, tls=tls))

    return setup


def nginx_before_nginx(port: int, to: int, folder: Path) -> list[str]:
    """The inner one obeys X-Accel-Buffering, and takes it off; the outer one buffers, and packs."""
    between = Answering().port
    gzip = "gzip on; gzip_types text/event-stream; gzip_proxied any;"
    servers = _server(port, between, f"{HTTP11} {gzip}") + _server(between, to, HTTP11)
    return _nginx(folder, servers)


def _server(port: int, to: int, directives: str, *, tls: bool = False) -> str:
    pair = " ssl http2; ssl_certificate ../pair/fullchain.pem"
    pair += "; ssl_certificate_key ../pair/privkey.pem"
    return _SERVER.format(port=port, to=to, directives=directives, tls=pair if tls else "")


def _nginx(folder: Path, servers: str) -> list[str]:
    program = subprocess.check_output([ROOT / "scripts/nginx-binary"], text=True).strip()
    user = "user root root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_NGINX.format(user=user, servers=servers))
    return [program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def apache(port: int, to: int, folder: Path) -> list[str]:
    """Apache with mod_proxy_http as it is installed."""
    modules = "/usr/lib/apache2/modules"
    names = ("mpm_event", "authz_core", "proxy", "proxy_http")
    loads = "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in names)
    user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
    (folder / "apache.conf").write_text(
        f"{loads}{user}Listen 127.0.0.1:{port}\nServerName app.example\nPidFile apache.pid\n"
        f'ErrorLog apache.log\nProxyPass "/" "http://127.0.0.1:{to}/"\n'
    )
    return [
        *(path_of("apache2", "apache2-bin"), "-d", str(folder)),
        *("-f", str(folder / "apache.conf"), "-DFOREGROUND"),
    ]


def haproxy(port: int, to: int, folder: Path) -> list[str]:
    """HAProxy with the timeouts of Debian's configuration, 50 s."""
    path = folder / "haproxy.cfg"
    path.write_text(
        "defaults\n mode http\n timeout connect 5s\n timeout client 50s\n timeout server 50s\n"
        f"frontend site\n bind 127.0.0.1:{port}\n default_backend app\n"
        f"backend app\n server app 127.0.0.1:{to}\n"
    )
    return [path_of("haproxy", "haproxy"), "-f", str(path)]


def prompt_haproxy(port: int, to: int, folder: Path) -> list[str]:
    """The same with what the doctor advises."""
    command = haproxy(port, to, folder)
    path = folder / "haproxy.cfg"
    path.write_text(path.read_text().replace("mode http\n", "mode http\n option http-no-delay\n"))
    return command


def caddy(port: int, to: int, folder: Path) -> list[str]:
    """Caddy's reverse_proxy as it is installed."""
    path = folder / "Caddyfile"
    path.write_text(
        f"{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n"
        f" reverse_proxy 127.0.0.1:{to}\n}}\n"
    )
    return [path_of("caddy", "caddy"), "run", "--config", str(path), "--adapter", "caddyfile"]


def varnish(port: int, to: int, folder: Path) -> list[str]:
    """Varnish as it is installed."""
    return [
        *(path_of("varnishd", "varnish"), "-F", "-n", str(folder / "varnish")),
        *("-a", f"127.0.0.1:{port}", "-b", f"127.0.0.1:{to}", "-s", "malloc,32m"),
        *(["-j", "none"] if os.geteuid() else []),
    ]


def squid(port: int, to: int, folder: Path) -> list[str]:
    """Squid as an accelerator."""
    path = folder / "squid.conf"
    path.write_text(
        f"http_port 127.0.0.1:{port} accel defaultsite=app.example no-vhost\n"
        f"cache_peer 127.0.0.1 parent {to} 0 no-query originserver\n"
        f"http_access allow all\npid_filename {folder}/squid.pid\ncache_log {folder}/cache.log\n"
        f"access_log none\ncache_mem 8 MB\ncoredump_dir {folder}\npinger_enable off\n"
        f"shutdown_lifetime 1 seconds\nvisible_hostname app.example\n"
    )
    folder.chmod(0o777)
    return [path_of("squid", "squid"), "-N", "-f", str(path)]


def trusting_squid(port: int, to: int, folder: Path) -> list[str]:
    """The same with what the doctor advises."""
    command = squid(port, to, folder)
    path = folder / "squid.conf"
    path.write_text(path.read_text().replace("originserver", "originserver login=PASSTHRU"))
    return command


def express(port: int, to: int, folder: Path) -> list[str]:
    """A development server that compresses."""
    del folder
    node_packages.install(_DEVELOPMENT_SERVER)
    program = _DEVELOPMENT_SERVER / "development_server.mjs"
    return [path_of("node", "nodejs"), str(program), str(port), f"http://127.0.0.1:{to}"]


def relay(fault: str) -> Setup:
    """Return a proxy that has one of the faults of relay.py."""

    def setup(port: int, to: int, folder: Path) -> list[str]:
        del folder
        return [sys.executable, str(_HERE / "relay.py"), str(port), str(to), fault]

    return setup


class Proxies:
    """Proxies that run before ports of this machine; a context, which ends them."""

    def __init__(self) -> None:
        self._running: list[tuple[Answering, subprocess.Popen[bytes], Path]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for _, process, _ in self._running:
            process.terminate()
        # Some wait for their clients first.
        deadline = time.monotonic() + _STOP_SECONDS
        for _, process, _ in self._running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, setup: Setup, to: int, folder: Path) -> str:
        """Start one, and return its URL.

        Args:
            setup: The proxy.
            to: The port.
            folder: For its files; beside it is the folder pair, with fullchain.pem and privkey.pem.
        """
        folder.mkdir()
        proxy = Answering()
        command = setup(proxy.port, to, folder)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=_DEVELOPMENT_SERVER if setup is express else folder,
                stdout=log,
                stderr=log,
            )
        self._running.append((proxy, process, folder))
        configuration = folder / "nginx.conf"
        is_tls = configuration.exists() and " ssl " in configuration.read_text()
        return proxy.url.replace("http:", "https:") if is_tls else proxy.url

    def wait(self) -> None:
        """Wait until each of them listens."""
        for proxy, _, folder in self._running:
            wait_for(f"the proxy of {folder / 'log'}", proxy.is_listening)

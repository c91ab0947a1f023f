"""The balancers in front of several hosts, run with the configurations of deploy/balancer."""

import subprocess
from collections.abc import Sequence
from typing import Literal

from support.servers.logged_program import LoggedProgram
from support.servers.programs import path_of
from support.servers.service import ROOT

Program = Literal["haproxy", "nginx"]

# For how long a stream of a host that has died may be silent. One that waited for HAProxy's timeout
# would be so for 60 s. It is cut within 6 s (two checks of 2 s, a second between), and its client
# comes back within 3 s; the rest is for a busy machine.
DEAD_SECONDS = 45

_FOLDER = ROOT / "deploy/balancer"

# The addresses that the configurations have for two hosts.
_EXAMPLES = ("10.0.0.11:80", "10.0.0.12:80")

_AROUND = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/balancer.conf;
}}
"""


class Balancer(LoggedProgram):
    """A balancer in front of two hosts; a context.

    Args:
        program: What balances.
        hosts: Where the hosts are.
        changes: Texts of the configuration and what stands in their place, such as shorter times.
    """

    def __init__(
        self, program: Program, hosts: Sequence[tuple[str, int]], changes: dict[str, str]
    ) -> None:
        super().__init__("the balancer")
        self._program = program
        suffix = {"haproxy": "haproxy.cfg", "nginx": "nginx.conf"}[program]
        text = (_FOLDER / suffix).read_text()
        listen = {"haproxy": "bind :80", "nginx": "listen 80"}[program]
        replaced = {
            **dict(zip(_EXAMPLES, (f"{host}:{port}" for host, port in hosts), strict=True)),
            f"    {listen}": f"    {listen.split()[0]} 127.0.0.1:{self.port}",
            **changes,
        }
        for old, new in replaced.items():
            assert old in text, old
            text = text.replace(old, new)
        text = text.replace("/etc/haproxy/retry.http", str(_FOLDER / "retry.http"))
        (self.folder / "balancer.conf").write_text(text)

    def _command(self) -> list[str]:
        if self._program == "haproxy":
            return [path_of("haproxy", "haproxy"), "-f", str(self.folder / "balancer.conf")]
        nginx = subprocess.check_output([ROOT / "scripts/nginx-binary"], text=True).strip()
        whole = self.folder / "nginx.conf"
        whole.write_text(_AROUND.format(folder=self.folder))
        return [nginx, "-p", str(self.folder), "-c", str(whole), "-e", "stderr"]

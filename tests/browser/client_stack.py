"""What the tests of the client run on: the service, a site in front of it, and a bad proxy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from site_backend import SiteBackend
from support.clients.insecure_host import HOST
from support.clients.publisher import KEY
from support.servers.authority import Authority
from support.servers.faulty_proxy import FaultyProxy
from support.servers.outer_nginx import OuterNginx, outer_nginx
from support.servers.service import Service, wait_for
from support.servers.valkey_server import ValkeyServer

RETRY_MS = 500


@dataclass(frozen=True)
class ClientStack:
    """All that runs.

    Attributes:
        hub: The service.
        site: The backend of the page.
        front: The nginx that has the site and the service on one origin.
        secure: The same with TLS.
        proxy: Between a browser and the front, for tests of bad proxies.
    """

    hub: Service
    valkey: ValkeyServer
    site: SiteBackend
    front: OuterNginx
    secure: OuterNginx
    proxy: FaultyProxy

    @property
    def origins(self) -> dict[str, str]:
        """The ways in which a browser reaches the site."""
        return {
            "on localhost": f"http://localhost:{self.front.port}",
            "on a host name without TLS": f"http://{HOST}:{self.front.port}",
            "over TLS with HTTP/2": self.secure.url,
        }

    def wait_for_streams(self, count: int) -> None:
        """Wait until the workers have so many streams open."""
        wait_for(f"{count} open streams", lambda: self.streams() == count)

    def streams(self) -> float:
        """Return how many streams the workers have open."""
        figures = self.hub.metrics()
        return sum(
            value for name, value in figures.items() if name.startswith("barestream_streams{")
        ) or figures.get("barestream_streams", 0)


@contextmanager
def running_stack(folder: Path, **settings: object) -> Iterator[ClientStack]:
    """Run all of it.

    Args:
        folder: For files.
        settings: Those of the service.
    """
    for name in ("front", "secure"):
        (folder / name).mkdir()
    Authority(folder).issue(folder / "pair")
    with (
        ValkeyServer() as valkey,
        Service(
            token_key=KEY,
            broker_url=valkey.url,
            broker_password=valkey.password,
            **{"retry_ms": RETRY_MS, **settings},
        ) as hub,
        SiteBackend() as site,
        outer_nginx(hub, folder / "front", site=site) as front,
        outer_nginx(hub, folder / "secure", pair=folder / "pair", site=site) as secure,
        FaultyProxy(front) as proxy,
    ):
        yield ClientStack(hub, valkey, site, front, secure, proxy)

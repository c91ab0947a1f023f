"""The servers of one run: ours, and those of its peers that are not left out."""

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from bench.servers.better_sse import BetterSse
from bench.servers.cache import MissingError, run
from bench.servers.centrifugo import Centrifugo
from bench.servers.floor import Floor
from bench.servers.mercure import Mercure
from bench.servers.nchan import NChan
from bench.servers.nginx import BehindNginx, installed_nginx
from bench.servers.ours import Ours
from bench.servers.peer import Peer
from bench.servers.server import Server
from bench.servers.sse_starlette import SseStarlette

Make = Callable[..., Server]

# In the order of the tables; the floor, at their end, is no peer.
_INSTALLABLE: tuple[type[Peer], ...] = (NChan, BetterSse, SseStarlette, Centrifugo)
_BEHIND_NGINX = (BetterSse, SseStarlette)

# What can be left out by name.
KEYS = tuple(peer.key for peer in _INSTALLABLE)


@dataclass(frozen=True)
class Peers:
    """Which peers there are.

    Attributes:
        cache: The folder that they are installed into.
        mercure: The program of Mercure's hub; without it that peer is left out.
        without: The keys of peers that are left out.
    """

    cache: Path
    mercure: Path | None = None
    without: frozenset[str] = frozenset()

    def alone(self) -> list[Make]:
        """Return what makes each server without a proxy, ours first.

        Ours takes what `Ours` takes, by keyword; the others take nothing.

        Raises:
            MissingError: A peer cannot be had here.
        """
        return [
            Ours,
            *(partial(peer, self._installed(peer)) for peer in self._installable()),
            *(partial(Mercure, program) for program in self._mercure()),
            partial(Floor, self._installed(Floor)),
        ]

    def behind_nginx(self) -> list[Make]:
        """Return what makes each server behind the same nginx; otherwise as `alone`."""
        return [
            partial(Ours, behind_nginx=True),
            *(
                partial(BehindNginx, partial(peer, self._installed(peer)))
                for peer in self._installable()
                if peer in _BEHIND_NGINX
            ),
        ]

    def durable(self) -> list[Make]:
        """Return what makes each peer that has an event on the disk before it answers."""
        return [partial(Mercure, program, is_durable=True) for program in self._mercure()]

    def left_out(self) -> Iterator[str]:
        """Yield what is left out, and what brings it in."""
        yield from (f"{peer.name} (--without)" for peer in _INSTALLABLE if peer.key in self.without)
        if self.mercure is None:
            yield "Mercure's hub (no --mercure)"

    def versions(self) -> dict[str, str]:
        """Return the version of each server, and of what they run on."""
        peers = [(peer, self._installed(peer)) for peer in (*self._installable(), Floor)]
        peers += [(Mercure, program) for program in self._mercure()]
        return {
            "nginx": run(installed_nginx(), "-v").strip().rpartition("/")[2],
            **{name: text for peer, at in peers for name, text in peer.versions(at).items()},
            "uvicorn": version("uvicorn"),
            "uvloop": version("uvloop"),
            "httptools": version("httptools"),
            "gunicorn": version("gunicorn"),
            "python": platform.python_version(),
        }

    def _installable(self) -> list[type[Peer]]:
        return [peer for peer in _INSTALLABLE if peer.key not in self.without]

    def _installed(self, peer: type[Peer]) -> Path:
        try:
            return peer.install(self.cache)
        except MissingError as error:
            if peer.key not in KEYS:
                raise
            raise MissingError(
                f"{peer.name} cannot be had: {error}\nTo leave it out: --without {peer.key}"
            ) from error

    def _mercure(self) -> list[Path]:
        if self.mercure is None:
            return []
        if not (self.mercure.is_file() and os.access(self.mercure, os.X_OK)):
            raise MissingError(f"--mercure {self.mercure}: this is no program")
        return [self.mercure.absolute()]

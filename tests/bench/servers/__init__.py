"""The servers that the bench compares: ours, its peers, and the least that one can do in C.

Each sends what is published, as it is, in one data line to every open stream of the topic. What is
around it differs: nchan's streams are not in chunks, better-sse writes no space after the colon,
and sse-starlette and the floor give an event no id.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.servers.better_sse import BetterSse
from bench.servers.floor import Floor
from bench.servers.nchan import NChan
from bench.servers.nginx import BehindNginx
from bench.servers.ours import Ours
from bench.servers.server import Address, Server
from bench.servers.sse_starlette import SseStarlette
from bench.servers.tree import HERE, Tree
from bench.servers.version import versions

__all__ = ["HERE", "Address", "Ours", "Server", "Tree", "alone", "behind_nginx", "versions"]


def alone(cache: Path) -> list[Callable[..., Server]]:
    """Return what makes each server without a proxy, ours first, the peers installed in a folder.

    Ours takes what `Ours` takes, by keyword; the others take nothing.
    """
    return [
        Ours,
        partial(NChan, NChan.install(cache)),
        partial(BetterSse, BetterSse.install(cache)),
        partial(SseStarlette, SseStarlette.install(cache)),
        partial(Floor, Floor.install(cache)),
    ]


def behind_nginx(cache: Path) -> list[Callable[..., Server]]:
    """Return what makes each server behind the same nginx; otherwise as `alone`."""
    return [
        partial(Ours, behind_nginx=True),
        partial(BehindNginx, partial(BetterSse, BetterSse.install(cache))),
        partial(BehindNginx, partial(SseStarlette, SseStarlette.install(cache))),
    ]

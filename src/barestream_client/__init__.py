"""A client of a hub: publish and subscribe from Python.

It needs httpx, and nothing of the service.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from barestream_client.address import AddressError, HubError, hub_url
from barestream_client.answers import (
    AwayError,
    EndedError,
    ForbiddenError,
    MissingUpdatesError,
    NoRoomError,
    RefusedError,
    SupersededError,
    UnauthorizedError,
)
from barestream_client.calls import Explanation, Member, Position, Presence
from barestream_client.events import Event, Gap, Ready
from barestream_client.minting import cookie, mint
from barestream_client.streaming import Streamed
from barestream_client.updates import Update

if TYPE_CHECKING:
    from barestream_client.hub import Hub, Subscription
    from barestream_client.sync_hub import SyncHub, SyncSubscription

# These need httpx, which takes a tenth of a second to import; the rest is pure.
_LATE = {
    "Hub": "hub",
    "Subscription": "hub",
    "SyncHub": "sync_hub",
    "SyncSubscription": "sync_hub",
}

__all__ = [
    "AddressError",
    "AwayError",
    "EndedError",
    "Event",
    "Explanation",
    "ForbiddenError",
    "Gap",
    "Hub",
    "HubError",
    "Member",
    "MissingUpdatesError",
    "NoRoomError",
    "Position",
    "Presence",
    "Ready",
    "RefusedError",
    "Streamed",
    "Subscription",
    "SupersededError",
    "SyncHub",
    "SyncSubscription",
    "UnauthorizedError",
    "Update",
    "cookie",
    "hub_url",
    "mint",
]


def __getattr__(name: str) -> object:
    if name in _LATE:
        return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

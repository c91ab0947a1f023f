"""The URL of a broker: of a server, or of the sentinels that know it."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from barestream.history.standing import Standing
from barestream.history.valkey.connections import connection_options
from barestream.history.valkey.credentials import Password, add_password
from barestream.history.valkey.guide import Address

EXPECTED_OF_SENTINELS = (
    "redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/SERVICE[/DATABASE], where the "
    "hosts are sentinels (valkey+sentinel:// is the same; rediss+sentinel:// and "
    "valkeys+sentinel:// are for TLS)"
)

_SUFFIX = "+sentinel"
_SCHEMES = {each + _SUFFIX for each in ("redis", "rediss", "valkey", "valkeys")}
_SENTINEL_PORT = 26379

# As Sentinel allows it (sentinel.c).
_SERVICE = re.compile(r"[A-Za-z0-9._-]+")


class Replicated(NamedTuple):
    """A Valkey with replicas.

    Attributes:
        url: Its URL, or that of its sentinels.
        sentinel_password: The password of the sentinels, if they have one.
        replicas: How many replicas must have a write on the disk before it counts as accepted.
        notify: Called with what the sentinels say whenever that changes.
    """

    url: str
    sentinel_password: Password = None
    replicas: int = 0
    notify: Callable[[Standing], None] = lambda _: None


class BrokerUrl(NamedTuple):
    """Where the history is.

    Attributes:
        options: How to connect to the server; with sentinels, without its host and port.
        service: The service as the sentinels know it; empty without sentinels.
        sentinels: Where the sentinels are; none if the options have the server's address.
    """

    options: dict[str, Any]
    service: str = ""
    sentinels: tuple[Address, ...] = ()

    def sentinel_options(self, password: Password) -> list[dict[str, Any]]:
        """Return how to connect to each sentinel.

        They have users of their own, so the server's user and password are left out.
        """
        shared = {
            name: value
            for name, value in self.options.items()
            if name not in ("db", "username", "password", "credential_provider")
        }
        add_password(shared, password)
        return [shared | address._asdict() for address in self.sentinels]


def read_url(url: str) -> BrokerUrl:
    """Return what a URL names.

    Raises:
        ValueError: It is malformed; the message does not quote it (see connection_options).
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        # The brackets of an address do not match.
        return BrokerUrl(connection_options(url))
    if not parts.scheme.endswith(_SUFFIX):
        return BrokerUrl(connection_options(url))
    service, _, database = parts.path.removeprefix("/").partition("/")
    user, at, hosts = parts.netloc.rpartition("@")
    try:
        sentinels = tuple(dict.fromkeys(map(_address, hosts.split(","))))
        if parts.scheme not in _SCHEMES or not _SERVICE.fullmatch(service):
            raise ValueError("there is no such scheme, or service")
        scheme = parts.scheme.removesuffix(_SUFFIX)
        # The other parts are those of any server's URL.
        first = f"{user}{at}{hosts.split(',')[0]}"
        like = urlunsplit((scheme, first, f"/{database}", parts.query, parts.fragment))
        options = connection_options(like)
    except ValueError:
        raise ValueError(f"expected {EXPECTED_OF_SENTINELS}") from None
    for name in Address._fields:
        options.pop(name, None)
    return BrokerUrl(options, service, sentinels)


def _address(text: str) -> Address:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.netloc != text or "@" in text:
        raise ValueError("it is not a host")
    return Address(parts.hostname, parts.port or _SENTINEL_PORT)

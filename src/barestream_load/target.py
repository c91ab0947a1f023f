"""Where a load goes: an address, the path of a stream on it, and the way there."""

import ipaddress
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

HUB_PATH = "/.well-known/mercure"

_PORTS = {"http": 80, "https": 443}

# linux/in.h; the socket module has no name for it before Python 3.13.
_IP_BIND_ADDRESS_NO_PORT = 24


def reason(error: Exception) -> str:
    """Return why a connection failed, in a sentence that is the same for all of its kind."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted, {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed, {error.reason}"
    return (isinstance(error, OSError) and error.strerror) or str(error)


class InvalidTargetError(ValueError):
    """An address that no load can go to; the message says what is expected."""


@dataclass(frozen=True)
class Target:
    """One stream's address, and those that are called from.

    Attributes:
        host: As the requests' field says it, with the port where it is not the scheme's own.
        server_name: The host's name for TLS, which its certificate must have; None without TLS.
        path: The stream's, with its query.
        hub_path: The same without a query: what is published to.
        family: Of the socket.
        address: In the form of that family.
        sources: How many addresses of this machine are called from, 127.0.0.1 and following; 0
            where the system chooses.
    """

    host: str
    server_name: str | None
    path: str
    hub_path: str
    family: socket.AddressFamily
    address: tuple[str, int] | str
    sources: int

    def request(self, fields: Iterable[str]) -> bytes:
        """Return the request for a stream, with these header fields of the user's."""
        lines = [
            f"GET {self.path} HTTP/1.1",
            f"Host: {self.host}",
            "Accept: text/event-stream",
            *fields,
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def tls(self) -> ssl.SSLContext | None:
        """Return what TLS is begun with, by the certificates that this machine trusts."""
        return ssl.create_default_context() if self.server_name else None

    def socket(self, nth: int) -> socket.socket:
        """Return a socket that does not block, for the nth connection."""
        made = socket.socket(self.family, socket.SOCK_STREAM)
        made.setblocking(False)
        if self.sources:
            # Without it the port is chosen before the other end is known, and must be free for
            # every one.
            made.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            made.bind((str(ipaddress.IPv4Address("127.0.0.1") + nth % self.sources), 0))
        if self.family != socket.AF_UNIX:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


def target(url: str, topics: Iterable[str], unix: Path | None, sources: int) -> Target:
    """Return what a URL leads to.

    Args:
        url: http://host:port/path or https://…; without a path it is a hub's.
        topics: Topic selectors for the query.
        unix: A socket that is connected to in place of the URL's host.
        sources: How many source addresses; only where the target is this machine by IPv4.

    Raises:
        InvalidTargetError: It is no such URL, or its host has no address.
    """
    expected = "expected http://host:port/path or https://host:port/path"
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise InvalidTargetError(f"{expected} ({error})") from None
    if parts.scheme not in _PORTS or not parts.hostname or not url.isascii() or " " in url:
        raise InvalidTargetError(expected)
    server_name = parts.hostname if parts.scheme == "https" else None
    hub_path, query = parts.path, parts.query
    named = urlencode([("topic", topic) for topic in topics])
    if hub_path in ("", "/"):
        if not named:
            raise InvalidTargetError(f"{expected}, with a path such as /events, or a --topic")
        hub_path = HUB_PATH
    query = "&".join(filter(None, (query, named)))
    path = f"{hub_path}?{query}" if query else hub_path
    if unix:
        return Target(parts.netloc, server_name, path, hub_path, socket.AF_UNIX, str(unix), 0)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InvalidTargetError(
            f"no address was found for {parts.hostname} ({error.strerror})"
        ) from None
    family, *_, address = found[0]
    host, port = str(address[0]), int(address[1])
    is_this_machine = family == socket.AF_INET and ipaddress.ip_address(host).is_loopback
    return Target(
        parts.netloc,
        server_name,
        path,
        hub_path,
        family,
        (host, port),
        sources if is_this_machine else 0,
    )

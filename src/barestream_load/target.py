"""The target of a load: an address, the path of a stream, and how to connect."""

import ipaddress
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from barestream_client.address import PATH
from barestream_client.tls import of_tls

_PORTS = {"http": 80, "https": 443}

# linux/in.h; the socket module has no name for it before Python 3.13.
_IP_BIND_ADDRESS_NO_PORT = 24


def reason(error: Exception) -> str:
    """Return why a connection failed, in the same words for all failures of a kind."""
    if isinstance(error, ssl.SSLError):
        return of_tls(error)
    return (isinstance(error, OSError) and error.strerror) or str(error)


class InvalidTargetError(ValueError):
    """A URL that cannot be the target of a load; the message says what is expected."""


@dataclass(frozen=True)
class Target:
    """The address of the streams, and the source addresses.

    Attributes:
        host: The value of the Host header, with the port if the URL names one.
        server_name: The name for TLS, which the certificate must contain; None without TLS.
        path: The path and query of a stream.
        hub_path: The path without the query, which events are published to.
        family: The family of the socket.
        address: The address, in the form of that family.
        sources: How many source addresses are used, from 127.0.0.1 on; 0 if the system chooses.
    """

    host: str
    server_name: str | None
    path: str
    hub_path: str
    family: socket.AddressFamily
    address: tuple[str, int] | str
    sources: int

    def request(self, fields: Iterable[str]) -> bytes:
        """Return the request for a stream, with these additional header fields."""
        lines = [
            f"GET {self.path} HTTP/1.1",
            f"Host: {self.host}",
            "Accept: text/event-stream",
            *fields,
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context, which trusts this machine's certificates; None without TLS."""
        return ssl.create_default_context() if self.server_name else None

    def socket(self, nth: int) -> socket.socket:
        """Return a non-blocking socket for the nth connection."""
        made = socket.socket(self.family, socket.SOCK_STREAM)
        made.setblocking(False)
        if self.sources:
            # Without this option the port is chosen before the destination is known, and then must
            # be free for every destination.
            made.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            made.bind((str(ipaddress.IPv4Address("127.0.0.1") + nth % self.sources), 0))
        if self.family != socket.AF_UNIX:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


def target(url: str, topics: Iterable[str], unix: Path | None, sources: int) -> Target:
    """Return the target of a URL.

    Args:
        url: http://host:port/path or https://…; without a path it is that of a hub.
        topics: Topic selectors for the query.
        unix: A unix socket to connect to in place of the URL's host.
        sources: How many source addresses; used only if the target is this machine, by IPv4.

    Raises:
        InvalidTargetError: The URL has another form, or no address was found for its host.
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
        hub_path = PATH
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

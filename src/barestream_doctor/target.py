"""The URLs of an examination."""

from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from barestream_client.address import PATH

_CLOCK_PATH = "/events"
_PORTS = {"http": 80, "https": 443}
_EXPECTED = "expected http://host:port/path or https://host:port/path"


class InvalidTargetError(ValueError):
    """A URL that cannot be examined; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the requests of an examination go.

    Attributes:
        host: The host, as the Host header names it, with the port if the URL does.
        name: The host's name or address alone.
        port: The port.
        is_tls: Whether it speaks TLS.
        stream_path: The path and query of the stream.
        hub_path: The path of the hub that may serve it.
        clock_path: The path of the hub's clock, a stream that can be resumed.
        names_stream: Whether the URL, or a topic, names the stream.
    """

    host: str
    name: str
    port: int
    is_tls: bool
    stream_path: str
    hub_path: str
    clock_path: str
    names_stream: bool

    @property
    def origin(self) -> str:
        """The origin, as a browser names it."""
        return f"{'https' if self.is_tls else 'http'}://{self.host}"


def target(url: str, topic: str | None = None) -> Target:
    """Return the target of a URL: a stream, or the root of a hub.

    Args:
        url: http://host:port/path or https://…
        topic: A topic to subscribe to, of a hub.

    Raises:
        InvalidTargetError: The URL has another form.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise InvalidTargetError(f"{url!r}: {_EXPECTED} ({error})") from None
    if parts.scheme not in _PORTS or not parts.hostname or not url.isascii() or " " in url:
        raise InvalidTargetError(f"{url!r}: {_EXPECTED}")
    path = parts.path or "/"
    names_stream = not path.endswith("/") or bool(parts.query)
    before, is_hub, _ = path.partition(PATH)
    base = before if is_hub else path.removesuffix(_CLOCK_PATH).rsplit("/", 1)[0]
    if names_stream and path.endswith(_CLOCK_PATH) and not is_hub:
        base = path.removesuffix(_CLOCK_PATH)
    stream_path = f"{path}?{parts.query}" if parts.query else path
    if topic is not None:
        stream_path = f"{base}{PATH}?{urlencode({'topic': topic})}"
    elif not names_stream:
        stream_path = base + _CLOCK_PATH
    return Target(
        parts.netloc.rpartition("@")[2],
        parts.hostname,
        port,
        parts.scheme == "https",
        stream_path,
        base + PATH,
        base + _CLOCK_PATH,
        names_stream or topic is not None,
    )

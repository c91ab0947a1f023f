"""Where a hub is. Pure."""

from urllib.parse import SplitResult, urlsplit, urlunsplit

PATH = "/.well-known/mercure"


class HubError(Exception):
    """What the client raises by itself; each kind of it asks for something else of its caller."""


class AddressError(HubError):
    """There is no hub at the URL, and trying again does not help; the message says why."""


def hub_url(given: str) -> str:
    """Return the hub's URL, from that URL or from one of the site whose hub it is.

    ``http://127.0.0.1:9009`` means ``http://127.0.0.1:9009/.well-known/mercure``.

    Raises:
        AddressError: It is no URL of HTTP.
    """
    try:
        parts = urlsplit(given.strip())
        is_complete = parts.scheme in {"http", "https"} and bool(parts.hostname)
        # Reading a port that is none raises a ValueError.
        _ = parts.port
    except ValueError:
        is_complete = False
    if not is_complete:
        raise AddressError(
            f"{given!r} is no URL of a hub: expected one such as https://events.example"
        )
    if parts.query or parts.fragment:
        raise AddressError(f"{given!r} is no URL of a hub: remove what is behind its path")
    path = parts.path.rstrip("/") or PATH
    return urlunsplit(SplitResult(parts.scheme, parts.netloc, path, "", ""))

"""Origins of requests, and which of them may publish with a cookie."""

import re
from collections.abc import Collection
from http import HTTPStatus

from bareasgi import HttpRequest

from barestream.web.credentials import header
from barestream.web.refusals import Refused

# An origin as browsers serialize it, and optionally the rest of a URL; no user and password.
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[^\s/?#\\@:,\[\]]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?:[/?#].*)?",
    re.IGNORECASE,
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str | None:
    """Return a URL's origin as browsers serialize it; None if it has none, as with "null"."""
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme = match["scheme"].lower()
    port = int(match["port"]) if match["port"] else None
    end = "" if port in (None, _DEFAULT_PORTS.get(scheme)) else f":{port}"
    return f"{scheme}://{match['host'].lower()}{end}"


def own_origin(request: HttpRequest) -> str | None:
    """Return the origin that a request is for, as its client claims."""
    return origin_of(f"{request.scope['scheme']}://{header(request, b'host') or ''}")


class PublishingOrigins:
    """The origins whose pages may publish with a cookie.

    A browser adds the cookie to requests of any page, so a cookie counts only from the hub's own
    origin and from these.

    Args:
        origins: Origins beside the request's own, such as ``https://example.com``.

    Raises:
        ValueError: One of the origins does not have that form.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = set()
        for text in origins:
            origin = origin_of(text)
            if origin is None:
                raise ValueError(f"expected an origin such as https://example.com: {text!r}")
            self._origins.add(origin)

    def check(self, request: HttpRequest) -> None:
        """Refuse a request of any other page.

        Raises:
            Refused: 403 for an origin that is not allowed, or that the request does not name.
        """
        sent = header(request, b"origin")
        if sent is None:
            sent = header(request, b"referer")
        if sent is None:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "With a cookie this needs an Origin or a Referer header.",
            )
        origin = origin_of(sent)
        if origin is None or origin not in {own_origin(request), *self._origins}:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                f"Pages of the origin {origin or 'null'} may not do this with a cookie: it is "
                "neither the hub's own origin nor in BARESTREAM_CORS_ORIGINS.",
            )

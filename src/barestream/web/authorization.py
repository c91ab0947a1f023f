"""Authorization by the token of a request, in each place that the Mercure protocol allows.

Source: https://mercure.rocks/spec#authorization
"""

import re
from collections.abc import Collection, Iterator
from http import HTTPStatus

from bareasgi import HttpRequest

from barestream.mercure.bearer import ANONYMOUS, Bearer
from barestream.mercure.signatures import InvalidTokenError
from barestream.mercure.tokens import Verifier
from barestream.web.form import query
from barestream.web.refusals import Refused

_COOKIE = "mercureAuthorization"

# Schemes by which a proxy in front of the hub may ask browsers for a password. The browsers then
# send the password to the hub too.
_FOREIGN_SCHEMES = {"basic", "digest", "negotiate", "ntlm"}

# RFC 6750, section 3: the answer to a request without a token names no error.
_CHALLENGE = (b"www-authenticate", b"Bearer")
_CHALLENGE_INVALID = (b"www-authenticate", b'Bearer error="invalid_token"')

# An origin as browsers serialize it, and optionally the rest of a URL; no user and password.
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[^\s/?#\\@:,\[\]]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?:[/?#].*)?",
    re.IGNORECASE,
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Authorization:
    """Determines what the sender of a request may do.

    A token in the Authorization header has precedence over one in the query parameter
    ``authorization``, and that over the cookie. Only the first one that is present counts, even
    if it is empty or malformed. An Authorization header of another scheme, such as Basic, carries
    no token.

    Args:
        publisher: Verifies the tokens of publishers; None if publishing is off.
        subscriber: Verifies the tokens of subscribers; None if no key for them is set.
        anonymous: Whether clients may subscribe without a token.
        origins: Origins beside the request's own, such as ``https://example.com``, whose pages
            may publish with a cookie.

    Raises:
        ValueError: One of the origins does not have that form.
    """

    def __init__(
        self,
        publisher: Verifier | None,
        subscriber: Verifier | None,
        *,
        anonymous: bool,
        origins: Collection[str],
    ) -> None:
        self._publisher = publisher
        self._subscriber = subscriber
        self._anonymous = anonymous
        self._origins = set()
        for text in origins:
            origin = _origin(text)
            if origin is None:
                raise ValueError(f"expected an origin such as https://example.com: {text!r}")
            self._origins.add(origin)

    def publisher(self, request: HttpRequest) -> Bearer:
        """Return what the sender of a publish may do.

        A browser adds the cookie to requests of any page, so a cookie counts only from an allowed
        origin. The other two places of a token need no origin.

        Raises:
            Refused: 401 for a token that is missing or invalid, 403 for a cookie from an origin
                that is not allowed and if publishing is off, 400 for a query that cannot be read.
        """
        if self._publisher is None:
            raise Refused(
                HTTPStatus.FORBIDDEN, "Publishing is off: BARESTREAM_TOKEN_KEY is not set."
            )
        token = _bearer_token(request)
        if token is None:
            token = _cookie(request)
            if token is None:
                raise _missing("Publishing needs a token.")
            self._check_origin(request)
        return _verified(self._publisher, token)

    def subscriber(self, request: HttpRequest) -> Bearer:
        """Return what the sender of a subscription may do.

        Raises:
            Refused: 401 for a token that is invalid, or missing although one is needed; 400 for a
                query that cannot be read.
        """
        token = _bearer_token(request)
        if token is None:
            token = _cookie(request)
        if token is None:
            if not self._anonymous:
                raise _missing("Subscribing needs a token.")
            return ANONYMOUS
        if self._subscriber is None:
            raise _invalid(
                "Tokens of subscribers cannot be verified: neither BARESTREAM_SUBSCRIBER_TOKEN_KEY "
                "nor BARESTREAM_TOKEN_KEY is set."
            )
        return _verified(self._subscriber, token)

    def _check_origin(self, request: HttpRequest) -> None:
        sent = _header(request, b"origin")
        if sent is None:
            sent = _header(request, b"referer")
        if sent is None:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "Publishing with a cookie needs an Origin or a Referer header.",
            )
        origin = _origin(sent)
        own = _origin(f"{request.scope['scheme']}://{_header(request, b'host') or ''}")
        if origin is None or origin not in {own, *self._origins}:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                f"Pages of the origin {origin or 'null'} may not publish with a cookie: it is "
                "neither the hub's own origin nor in BARESTREAM_CORS_ORIGINS.",
            )


def _bearer_token(request: HttpRequest) -> str | None:
    """Return the token of the Authorization header, else of the query."""
    sent = _header(request, b"authorization")
    if sent is not None:
        scheme, _, token = sent.partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
        if scheme.lower() not in _FOREIGN_SCHEMES:
            raise _missing("The Authorization header is not of the form: Bearer <token>.")
    tokens = query(request).get("authorization", [])
    if len(tokens) > 1:
        raise _invalid("The query has more than one authorization parameter.")
    return tokens[0] if tokens else None


def _cookie(request: HttpRequest) -> str | None:
    """Return the token of the cookie.

    The first of several counts: browsers send the one with the longest path first (RFC 6265,
    section 5.4).
    """
    return next((value for name, value in _cookies(request) if name == _COOKIE), None)


def _cookies(request: HttpRequest) -> Iterator[tuple[str, str]]:
    # http.cookies would drop all cookies because of one that is malformed.
    for header_name, header_value in request.scope["headers"]:
        if header_name == b"cookie":
            for pair in header_value.decode("latin-1").split(";"):
                name, _, value = pair.partition("=")
                yield name.strip(), value.strip().strip('"')


def _verified(verifier: Verifier, token: str) -> Bearer:
    try:
        return verifier.verify(token)
    except InvalidTokenError as error:
        raise _invalid(str(error)) from None


def _missing(detail: str) -> Refused:
    return Refused(HTTPStatus.UNAUTHORIZED, detail, [_CHALLENGE])


def _invalid(detail: str) -> Refused:
    return Refused(HTTPStatus.UNAUTHORIZED, detail, [_CHALLENGE_INVALID])


def _header(request: HttpRequest, name: bytes) -> str | None:
    """Return a header's values, joined where there are several (RFC 9110, section 5.3)."""
    values = [value for found, value in request.scope["headers"] if found == name]
    return b", ".join(values).decode("latin-1") if values else None


def _origin(url: str) -> str | None:
    """Return a URL's origin as browsers serialize it; None if it has none, as with "null"."""
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme = match["scheme"].lower()
    port = int(match["port"]) if match["port"] else None
    end = "" if port in (None, _DEFAULT_PORTS.get(scheme)) else f":{port}"
    return f"{scheme}://{match['host'].lower()}{end}"

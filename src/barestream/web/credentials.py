"""Where a request has its token.

Source: https://mercure.rocks/spec#presenting-the-access-token
"""

from collections.abc import Iterator

from bareasgi import HttpRequest

from barestream.web.form import query

# Schemes by which a proxy in front of the hub may ask browsers for a password. The browsers then
# send the password to the hub too.
_FOREIGN_SCHEMES = {"basic", "digest", "negotiate", "ntlm"}


class UnreadableTokenError(ValueError):
    """A token in a form that the hub does not read.

    Args:
        detail: What is wrong, for the client.
        error: The error's code in RFC 6750; None without one.
    """

    def __init__(self, detail: str, error: str | None = None) -> None:
        super().__init__(detail)
        self.error = error


def in_header(request: HttpRequest) -> str | None:
    """Return the token of the Authorization header; None without one.

    Raises:
        UnreadableTokenError: The header is of an unknown scheme.
    """
    sent = header(request, b"authorization")
    if sent is not None:
        scheme, _, token = sent.partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
        if scheme.lower() not in _FOREIGN_SCHEMES:
            raise UnreadableTokenError(
                "The Authorization header is not of the form: Bearer <token>."
            )
    return None


def in_query(request: HttpRequest) -> str | None:
    """Return the token of the query, which only 0.x allows; None without one.

    Raises:
        UnreadableTokenError: There are several.
        Refused: 400 for a query that cannot be read.
    """
    tokens = query(request).get("authorization", [])
    if len(tokens) > 1:
        raise UnreadableTokenError(
            "The request has more than one authorization parameter.", "invalid_token"
        )
    return tokens[0] if tokens else None


def in_cookie(request: HttpRequest, name: str) -> str | None:
    """Return the token of a cookie; None without that cookie.

    The first of several counts: browsers send the one with the longest path first (RFC 6265,
    section 5.4).
    """
    return next((value for found, value in _cookies(request) if found == name), None)


def header(request: HttpRequest, name: bytes) -> str | None:
    """Return a header's values, joined where there are several (RFC 9110, section 5.3)."""
    values = [value for found, value in request.scope["headers"] if found == name]
    return b", ".join(values).decode("latin-1") if values else None


def _cookies(request: HttpRequest) -> Iterator[tuple[str, str]]:
    # http.cookies would drop all cookies because of one that is malformed.
    for header_name, header_value in request.scope["headers"]:
        if header_name == b"cookie":
            for pair in header_value.decode("latin-1").split(";"):
                name, _, value = pair.partition("=")
                yield name.strip(), value.strip().strip('"')

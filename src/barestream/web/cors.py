"""The other origins that may use the hub from a browser.

Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

import re
from collections.abc import Collection, Iterator
from http import HTTPStatus

from bareasgi import HttpRequest, HttpRequestCallback, HttpResponse

from barestream.web.request_headers import header_value

ANY_ORIGIN = "*"

# A browser asks again after an hour, so a shorter list of origins takes effect soon.
_MAX_AGE = b"3600"

# A field's name is a token (RFC 9110, section 5.1).
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# The headers that the protocol needs; they are allowed even if a browser does not ask for them.
_HEADERS = (b"authorization", b"cache-control", b"content-type", b"last-event-id")


# The headers of answers that pages of other origins may read: where a stream begins, how far a
# producer has come, when to try again, and why a stream ends at once.
_EXPOSED = (
    b"last-event-id, mercure-last-event-id, producer-epoch, producer-seq, producer-expected-seq, "
    b"producer-received-seq, retry-after, barestream-turned-away"
)


class Cors:
    """An allow-list of origins.

    Args:
        origins: Such as ``https://example.com``; ``*`` allows all of them, without cookies.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = origins

    def allowing(self, handler: HttpRequestCallback) -> HttpRequestCallback:
        """Return the handler; its answers, errors too, then carry the headers for the origins."""
        if not self._origins:
            return handler

        async def allowed(request: HttpRequest) -> HttpResponse:
            response = await handler(request)
            # The response object must stay the same, because that of a stream has its own class.
            response.headers = [*(response.headers or ()), *self._headers(request)]
            return response

        return allowed

    def preflights(self, *paths: str) -> Iterator[tuple[str, str, HttpRequestCallback]]:
        """Yield the method, the path and the handler of the preflights for some paths."""
        if self._origins:
            for path in paths:
                yield "OPTIONS", path, self.preflight

    async def preflight(self, request: HttpRequest) -> HttpResponse:
        """Answer the preflight that a browser sends before a request that is not a simple one.

        Every header that it names is allowed: tracing tools and frameworks add headers of their
        own to each request, and the hub ignores those that it does not know.
        """
        asked = header_value(request, b"access-control-request-headers")
        names = [name for part in asked.split(b",") if _NAME.fullmatch(name := part.strip())]
        allowed = dict.fromkeys([*_HEADERS, *names])
        return HttpResponse(
            HTTPStatus.NO_CONTENT,
            [
                *self._headers(request),
                (b"access-control-allow-methods", b"GET, HEAD, POST, QUERY"),
                (b"access-control-allow-headers", b", ".join(allowed)),
                (b"access-control-max-age", _MAX_AGE),
            ],
        )

    def _headers(self, request: HttpRequest) -> list[tuple[bytes, bytes]]:
        expose = (b"access-control-expose-headers", _EXPOSED)
        if ANY_ORIGIN in self._origins:
            return [(b"access-control-allow-origin", b"*"), expose]
        vary = (b"vary", b"origin")
        origin = header_value(request, b"origin")
        if not origin or origin.decode("latin-1") not in self._origins:
            return [vary]
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            expose,
            vary,
        ]

"""The hub as a protected resource of OAuth 2.0: its identifier and its metadata.

Source: RFC 9728
"""

import json
from collections.abc import Collection, Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from bareasgi import HttpRequest, HttpResponse

from barestream.mercure.authorization_details import DETAIL_TYPE
from barestream.mercure.matchers import MATCHER_TYPES
from barestream.mercure.topics import PATH
from barestream.web.answers import whole
from barestream.web.origins import own_origin
from barestream.web.refusals import problem

WELL_KNOWN = "/.well-known/oauth-protected-resource"

# Clients read it once before they ask for a token. A changed setting takes effect within an hour.
_CACHING = b"public, max-age=3600"


class Resource:
    """The hub's identifier, which the ``aud`` of access tokens names.

    Args:
        identifier: The identifier for every request; None to take it from the request's origin.
        public_origins: The origins of which that is allowed. The Host header alone proves nothing:
            a client chooses it.
    """

    def __init__(self, identifier: str | None, public_origins: Collection[str]) -> None:
        self._identifier = identifier
        self._origins = frozenset(public_origins)

    @property
    def path(self) -> str:
        """The path of the metadata."""
        return WELL_KNOWN + (urlsplit(self._identifier).path if self._identifier else PATH)

    @property
    def identifiers(self) -> list[str]:
        """The identifiers that the hub may have for a request, one for each of its origins."""
        if self._identifier is not None:
            return [self._identifier]
        return [f"{origin}{PATH}" for origin in sorted(self._origins)]

    def identifier(self, request: HttpRequest) -> str | None:
        """Return the hub's identifier; None if there is none for the request's origin."""
        if self._identifier is not None:
            return self._identifier
        origin = own_origin(request) if self._origins else None
        return f"{origin}{PATH}" if origin in self._origins else None

    def why_none(self, request: HttpRequest) -> str:
        """Return why there is no identifier for the request's origin, as the end of a sentence."""
        return (
            f"the origin {own_origin(request) or 'of the Host header'} is not in "
            "BARESTREAM_PUBLIC_URLS, and BARESTREAM_RESOURCE_IDENTIFIER is not set."
        )

    def challenge(self, request: HttpRequest, error: str | None = None) -> tuple[bytes, bytes]:
        """Return the header of an answer to a request whose token is missing or not enough.

        Args:
            request: The request.
            error: The error's code in RFC 6750; None for a request without a token.
        """
        parameters = [f'error="{error}"'] if error else []
        identifier = self.identifier(request)
        if identifier is not None:
            parts = urlsplit(identifier)
            metadata = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path}"
            parameters.append(f'resource_metadata="{metadata}"')
        return b"www-authenticate", f"Bearer {', '.join(parameters)}".rstrip().encode()


class ResourceMetadata:
    """The handler of the metadata.

    Args:
        resource: The hub's identifier.
        authorization_servers: The issuers that give tokens for the hub.
        cookie: The name of the cookie of access tokens.
        has_subscriptions: Whether there is the subscription API.
    """

    def __init__(
        self,
        resource: Resource,
        authorization_servers: Sequence[str],
        cookie: str,
        *,
        has_subscriptions: bool = False,
    ) -> None:
        self._resource = resource
        self._metadata: dict[str, object] = {
            "authorization_details_types_supported": [DETAIL_TYPE],
            "bearer_methods_supported": ["header"],
            "mercure_cookie": cookie,
            "mercure_matcher_types_supported": list(MATCHER_TYPES),
        }
        if has_subscriptions:
            self._metadata["mercure_subscriptions"] = True
        if authorization_servers:
            self._metadata["authorization_servers"] = list(authorization_servers)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the metadata; 404 without an identifier for the request's origin."""
        identifier = self._resource.identifier(request)
        if identifier is None:
            return problem(
                HTTPStatus.NOT_FOUND,
                f"The hub has no resource identifier here: {self._resource.why_none(request)}",
            )
        body = json.dumps({"resource": identifier, **self._metadata}).encode()
        return whole(b"application/json", body, headers=[(b"cache-control", _CACHING)])

"""Authorization by the token of a request, by the rules of the version that the request speaks.

Sources: https://mercure.rocks/spec#authorization, RFC 6750; for 0.x the tag v0.24.2 of
dunglas/mercure
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from bareasgi import HttpRequest

from barestream.delivery.revoked import Revoked
from barestream.delivery.time_slices import Slices
from barestream.history.broker import BrokerAwayError
from barestream.mercure import access_tokens
from barestream.mercure.bearer import ANONYMOUS, Bearer
from barestream.mercure.signatures import InvalidTokenError, version_of
from barestream.mercure.tokens import COOKIE
from barestream.mercure.version import Version
from barestream.web.credentials import UnreadableTokenError, in_cookie, in_header, in_query
from barestream.web.form import query
from barestream.web.origins import PublishingOrigins
from barestream.web.refusals import RETRY_AFTER, Refused
from barestream.web.resource import Resource
from barestream.web.verifiers import Verifiers, unverifiable

# Parameters in which clients might send a token that Mercure 1.0 does not read there.
_TOKEN_PARAMETERS = ("authorization", "access_token")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings allow.

    Attributes:
        versions: The versions that the hub speaks.
        anonymous: Whether clients may subscribe without a token.
        cookie: The name of the cookie of access tokens.
        stream_seconds: How long a stream with a token lasts at most; may be infinite.
    """

    versions: Collection[Version] = tuple(Version)
    anonymous: bool = True
    cookie: str = access_tokens.COOKIE
    stream_seconds: float = math.inf


class Authorization:
    """Determines what the sender of a request may do.

    A token in the Authorization header has precedence. An Authorization header of another scheme,
    such as Basic, carries no token. Then, in 0.x, the query parameter ``authorization`` counts, and
    then the cookie of the version. Only the first one that is present counts, even if it is empty
    or malformed.

    Args:
        publishers: Verifies the tokens of publishers.
        subscribers: Verifies the tokens of subscribers.
        resource: The hub's identifier.
        origins: The origins whose pages may publish with a cookie.
        policy: What the settings allow.
        revoked: Knows which tokens are revoked.

    Attributes:
        revoked: The same.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (all that it depends on)
        self,
        publishers: Verifiers,
        subscribers: Verifiers,
        resource: Resource,
        origins: PublishingOrigins,
        policy: Policy,
        revoked: Revoked,
    ) -> None:
        self._publishers = publishers
        self._may_publish = publishers != Verifiers()
        self._subscribers = subscribers
        self._resource = resource
        self._origins = origins
        self._policy = policy
        self.revoked = revoked

    def speaks(self, version: Version) -> bool:
        """Return whether the hub speaks a version of the protocol."""
        return version in self._policy.versions

    def lasts_seconds(self, bearer: Bearer, now: float) -> float:
        """Return how long a stream lasts that begins at a time of the wall clock."""
        if bearer is ANONYMOUS:
            return math.inf
        most = self._policy.stream_seconds
        return most if bearer.expires_at is None else min(most, max(0.0, bearer.expires_at - now))

    async def publisher(self, request: HttpRequest) -> Bearer:
        """Return what the sender of a publish may do; its token says which version it speaks.

        Of two cookies that of 1.0 counts. A cookie counts only from an allowed origin; the other
        places of a token need none.

        Raises:
            Refused: 401 for a token that is missing, invalid or revoked, 403 for a cookie from an
                origin that is not allowed and if publishing is off, 400 for a query that cannot be
                read, 503 if it is not known which tokens are revoked.
            TooManyPatternsError: There is no room for further URL Patterns.
        """
        return await self._sender(request, "Publishing needs a token.")

    async def operator(self, request: HttpRequest) -> Bearer:
        """Return what the sender of a request may do, who may operate the hub.

        Raises:
            Refused: As for a publisher; 403 without the right to operate.
            TooManyPatternsError: There is no room for further URL Patterns.
        """
        bearer = await self._sender(
            request, "The request needs a token that has the right to operate."
        )
        if not bearer.may_operate:
            raise self.insufficient(
                request, "The token does not have the right to operate, which no topic includes."
            )
        return bearer

    async def subscriber(self, request: HttpRequest, version: Version) -> Bearer:
        """Return what the sender of a subscription may do.

        Args:
            request: The request.
            version: The version that its parameters speak.

        Raises:
            Refused: 401 for a token that is invalid or revoked, or missing although one is needed;
                400 for a query that cannot be read, or that has a token in 1.0.
            BrokerAwayError: It is not known which tokens are revoked.
            TooManyPatternsError: There is no room for further URL Patterns.
        """
        token = self._read(in_header, request)
        if version is Version.ZERO:
            if token is None:
                token = self._read(in_query, request)
        elif found := query(request).keys() & _TOKEN_PARAMETERS:
            raise self._refused(
                request,
                HTTPStatus.BAD_REQUEST,
                f"A parameter has a token ({', '.join(sorted(found))}): Mercure 1.0 reads none "
                "there; send it in the Authorization header, or in a cookie.",
                "invalid_request",
            )
        if token is None:
            token = self._in_cookie(request, version)
        if token is None:
            if not self._policy.anonymous:
                raise self._missing(request, "Subscribing needs a token.")
            return ANONYMOUS
        return await self._verified(self._subscribers, token, version, request)

    async def client(
        self, request: HttpRequest, *, from_any_page: bool
    ) -> tuple[Bearer, Version | None]:
        """Return what the sender of a request about subscriptions may read.

        Args:
            request: The request.
            from_any_page: Whether a cookie counts from any origin; else as for ``publisher``.

        Returns:
            What it may, and the version that its token speaks; None without a token.

        Raises:
            Refused, TooManyPatternsError: As with ``publisher`` and ``subscriber``.
        """
        sent = self._sent(request, from_any_page=from_any_page)
        if sent is not None:
            return await self._verified(self._subscribers, *sent, request), sent[1]
        if not self._policy.anonymous:
            raise self._missing(request, "The request needs a token.")
        return ANONYMOUS, None

    async def allow_subscribe(
        self, request: HttpRequest, bearer: Bearer, topic: str, slices: Slices
    ) -> None:
        """Check that a bearer may read the private updates of a topic.

        Raises:
            Refused: 403 if it may not, 401 without a token.
        """
        if bearer is ANONYMOUS:
            raise self._missing(request, "The request needs a token.")
        if not await slices.work(bearer.subscribe.matching_any((topic,), slices)):
            raise self.insufficient(
                request, f"The token does not allow subscribing to the topic {topic}."
            )

    async def allow_publish(
        self, request: HttpRequest, bearer: Bearer, topics: Sequence[str], slices: Slices
    ) -> None:
        """Check that a bearer may publish to each of the topics.

        The token may have been revoked since it was verified, while the body came.

        Raises:
            Refused: 403 if it may not; 401 if its token is revoked.
        """
        self.check_not_revoked(request, bearer)
        allowed = bearer.publish
        if not allowed.names_all(topics) and not await slices.work(
            allowed.matching_all(topics, slices)
        ):
            raise self.insufficient(
                request, "The token does not allow publishing to every topic of the update."
            )

    def check_not_revoked(self, request: HttpRequest, bearer: Bearer) -> None:
        """Check that the token of a bearer is not revoked, as far as is known.

        Raises:
            Refused: 401 if it is.
        """
        if self.revoked.may_refuse and bearer.token and self.revoked.refuses(bearer.token):
            raise self._invalid(request, "The token was revoked.")

    def expired(self, request: HttpRequest) -> Refused:
        """Return the refusal of a request whose token expires while its body comes."""
        return self._invalid(
            request, "The token has expired. Send the rest of the body with another token."
        )

    def insufficient(self, request: HttpRequest, detail: str) -> Refused:
        """Return the refusal of a request whose token is valid, but does not allow it."""
        return self._refused(request, HTTPStatus.FORBIDDEN, detail, "insufficient_scope")

    def _read(self, read: Callable[[HttpRequest], str | None], request: HttpRequest) -> str | None:
        try:
            return read(request)
        except UnreadableTokenError as error:
            raise self._refused(request, HTTPStatus.UNAUTHORIZED, str(error), error.error) from None

    def _sent(self, request: HttpRequest, *, from_any_page: bool) -> tuple[str, Version] | None:
        """Return the token of a request whose version it says itself, and that version."""
        token = self._read(in_header, request)
        if token is not None:
            return token, version_of(token)
        if self.speaks(Version.ZERO) and (token := self._read(in_query, request)) is not None:
            return token, Version.ZERO
        for version in (Version.ONE, Version.ZERO):
            token = self._in_cookie(request, version)
            if token is not None:
                if not from_any_page:
                    self._origins.check(request)
                return token, version
        return None

    def _in_cookie(self, request: HttpRequest, version: Version) -> str | None:
        if not self.speaks(version):
            return None
        return in_cookie(request, COOKIE if version is Version.ZERO else self._policy.cookie)

    async def _verified(
        self, verifiers: Verifiers, token: str, version: Version, request: HttpRequest
    ) -> Bearer:
        if not self.speaks(version):
            raise self._invalid(
                request, f"Tokens of Mercure {version.value} are off: see BARESTREAM_PROTOCOLS."
            )
        try:
            bearer = await verifiers.bearer(token, version, partial(self._identifiers, request))
        except InvalidTokenError as error:
            raise self._invalid(request, str(error)) from None
        if self.revoked.may_refuse:
            await self.revoked.wait_until_read()
            self.check_not_revoked(request, bearer)
        return bearer

    async def _sender(self, request: HttpRequest, needs_a_token: str) -> Bearer:
        if not self._may_publish:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "Publishing is off: the hub has no key for the tokens of publishers. Set "
                "BARESTREAM_TOKEN_KEY; for Mercure 1.0 alone set an issuer too.",
            )
        sent = self._sent(request, from_any_page=False)
        if sent is None:
            raise self._missing(request, needs_a_token)
        try:
            return await self._verified(self._publishers, *sent, request)
        except BrokerAwayError as error:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"The history {error.words}. Nothing was accepted, because it is not known yet "
                "which tokens are revoked; the request can be sent again.",
                [RETRY_AFTER],
            ) from None

    def _identifiers(self, request: HttpRequest) -> list[str]:
        identifier = self._resource.identifier(request)
        if identifier is None:
            raise unverifiable(Version.ONE, self._resource.why_none(request))
        return [identifier]

    def _missing(self, request: HttpRequest, detail: str) -> Refused:
        return self._refused(request, HTTPStatus.UNAUTHORIZED, detail)

    def _invalid(self, request: HttpRequest, detail: str) -> Refused:
        return self._refused(request, HTTPStatus.UNAUTHORIZED, detail, "invalid_token")

    def _refused(
        self, request: HttpRequest, status: HTTPStatus, detail: str, error: str | None = None
    ) -> Refused:
        return Refused(status, detail, [self._resource.challenge(request, error)])

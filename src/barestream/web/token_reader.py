"""What the hub makes of a token that a question names, and that nobody has sent as their own."""

from dataclasses import dataclass

from barestream.delivery.explanation import Presented
from barestream.delivery.revoked import Revoked
from barestream.mercure.bearer import ANONYMOUS, Bearer
from barestream.mercure.signatures import ExpiredTokenError, InvalidTokenError, version_of
from barestream.mercure.version import Version
from barestream.web.authorization import Policy
from barestream.web.resource import Resource
from barestream.web.verifiers import Verifiers, unverifiable


@dataclass(frozen=True, slots=True)
class TokenReader:
    """Reads tokens of subscribers as Authorization does, but refuses no request for them.

    Attributes:
        verifiers: Verifies the tokens of subscribers.
        resource: The hub's identifier. The origin of the question is that of an operator, so a
            token may be for any origin of the hub.
        policy: What the settings allow.
        revoked: Knows which tokens are revoked.
    """

    verifiers: Verifiers
    resource: Resource
    policy: Policy
    revoked: Revoked

    async def read(self, token: str | None, version: Version | None) -> Presented:
        """Return what a stream with a token may do, and why the hub would refuse it.

        Args:
            token: The token; None for a stream without one.
            version: The version that the stream's parameters speak; None for that of the token.

        Raises:
            BrokerAwayError: It is not known which tokens are revoked.
            TooManyPatternsError: There is no room for further URL Patterns.
        """
        if token is None:
            if self.policy.anonymous:
                return Presented(ANONYMOUS)
            return Presented(
                None, "missing", "There is no token, and BARESTREAM_ANONYMOUS is false."
            )
        try:
            bearer = await self._verified(token, version or version_of(token))
        except ExpiredTokenError as error:
            return Presented(None, error.cause, str(error), error.expires_at)
        except InvalidTokenError as error:
            return Presented(None, error.cause, str(error))
        # The table of this worker may be a moment old.
        await self.revoked.refresh()
        revocation = self.revoked.revoking(bearer.token) if bearer.token else None
        if revocation is not None:
            detail = f"The token was revoked, by the revocation {revocation.id}."
            return Presented(bearer, "revoked", detail, bearer.expires_at)
        return Presented(bearer, expires_at=bearer.expires_at)

    async def _verified(self, token: str, version: Version) -> Bearer:
        if version not in self.policy.versions:
            raise InvalidTokenError(
                f"Tokens of Mercure {version.value} are off: see BARESTREAM_PROTOCOLS."
            )
        return await self.verifiers.bearer(token, version, self._identifiers)

    def _identifiers(self) -> list[str]:
        identifiers = self.resource.identifiers
        if not identifiers:
            raise unverifiable(
                Version.ONE,
                "neither BARESTREAM_RESOURCE_IDENTIFIER nor BARESTREAM_PUBLIC_URLS is set.",
            )
        return identifiers

"""What verifies tokens, each by the rules of the version that its request speaks."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from barestream.mercure.access_tokens import AccessVerifier, KeysMayHaveChangedError
from barestream.mercure.bearer import Bearer
from barestream.mercure.signatures import InvalidTokenError
from barestream.mercure.tokens import Verifier
from barestream.mercure.version import Version


@dataclass(frozen=True, slots=True)
class Verifiers:
    """What verifies the tokens of publishers, or those of subscribers.

    Attributes:
        zero: Verifies tokens of 0.x; None without a key.
        one: Verifies access tokens of 1.0; None without an issuer.
    """

    zero: Verifier | None = None
    one: AccessVerifier | None = None

    async def bearer(
        self, token: str, version: Version, identifiers: Callable[[], Collection[str]]
    ) -> Bearer:
        """Return what a token allows.

        Args:
            token: The token.
            version: The version by whose rules it is verified.
            identifiers: Returns the hub's identifiers, one of which an access token must name. It
                raises InvalidTokenError where there is none.

        Raises:
            InvalidTokenError: The token is not valid, or cannot be verified.
            TooManyPatternsError: There is no room for further URL Patterns.
        """
        if version is Version.ZERO:
            if self.zero is None:
                raise unverifiable(version, "BARESTREAM_TOKEN_KEY is not set.")
            return self.zero.verify(token)
        if self.one is None:
            raise unverifiable(
                version, "neither BARESTREAM_ISSUER nor BARESTREAM_ISSUERS has a key for them."
            )
        resources = identifiers()
        try:
            return self.one.verify(token, *resources)
        except KeysMayHaveChangedError as error:
            if not await error.source.refresh():
                raise
        return self.one.verify(token, *resources)


def unverifiable(version: Version, why: str) -> InvalidTokenError:
    """Return the error of a token that the hub has nothing to verify with.

    Args:
        version: The version of the token.
        why: The end of the sentence.
    """
    return InvalidTokenError(f"Such tokens of Mercure {version.value} cannot be verified: {why}")

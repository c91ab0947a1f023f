"""What verifies tokens, made from the settings."""

import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from pydantic import SecretStr

from barestream.issuers.fetch import fetch
from barestream.issuers.key_sources import FetchedKeys, StaticKeys
from barestream.mercure.access_tokens import AccessVerifier, KeySource
from barestream.mercure.patterns import Patterns
from barestream.mercure.signatures import Keys
from barestream.mercure.tokens import Verifier
from barestream.mercure.topics import PATH, HubUrl
from barestream.mercure.version import Version
from barestream.settings.issuers import ROLES, Issuer, Role, read_issuers
from barestream.settings.settings import Settings
from barestream.telemetry.metrics import Metrics
from barestream.web.verifiers import Verifiers

# Without a public URL, relative topics and patterns need any base: both have the same one.
_NO_URL = f"https://localhost{PATH}"


def hub_url(settings: Settings) -> HubUrl:
    """Return the URL that relative topics and URL Patterns are resolved against.

    It is the resource identifier if that is the hub's URL, else that of the first public origin. It
    is one for all requests, so that a topic is the same for each of them.
    """
    identifier = settings.resource_identifier
    if identifier is not None and identifier.endswith(PATH):
        return HubUrl(identifier)
    origins = settings.public_origins
    return HubUrl(f"{origins[0]}{PATH}" if origins else _NO_URL)


class _Source(NamedTuple):
    """An issuer, what its tokens are accepted for, and where its keys come from."""

    issuer: str
    roles: frozenset[Role]
    keys: KeySource


class Verifying:
    """The verifiers of both roles.

    Args:
        settings: The settings.
        patterns: Where the compiled URL Patterns of tokens are held.
        metrics: Where reads of issuers' keys are shown.

    Attributes:
        publishers: What verifies the tokens of publishers.
        subscribers: What verifies the tokens of subscribers.
        fetched: The keys that must be read again and again.
        advertised: The issuers that the metadata name.
    """

    def __init__(self, settings: Settings, patterns: Patterns, metrics: Metrics) -> None:
        self._settings = settings
        self._patterns = patterns
        self.fetched: list[FetchedKeys] = []
        self.advertised: list[str] = []
        self._sources: list[_Source] = []
        if Version.ONE in settings.versions:
            self._sources += self._of_settings()
            if settings.issuers:
                for issuer in read_issuers(settings.issuers):
                    self._sources.append(self._of_file(issuer, metrics))
        self.publishers, self.subscribers = (self._verifiers(role) for role in ROLES)

    def _of_settings(self) -> Iterator[_Source]:
        """Yield the issuer whose keys are those of 0.x."""
        issuer = self._settings.issuer
        if issuer is None:
            return
        for role in ROLES:
            if keys := self._keys(role):
                yield _Source(issuer, frozenset({role}), StaticKeys(Keys(*keys)))

    def _of_file(self, issuer: Issuer, metrics: Metrics) -> _Source:
        if issuer.advertise and issuer.id not in self.advertised:
            self.advertised.append(issuer.id)
        keys: KeySource
        if issuer.jwks_uri is not None:
            # An issuer may have an entry for each role.
            name = issuer.id if len(issuer.roles) > 1 else f"{issuer.id} ({issuer.roles[0]})"
            keys = FetchedKeys(
                name,
                issuer.algorithm,
                partial(fetch, issuer.jwks_uri),
                time.monotonic,
                metrics,
            )
            self.fetched.append(keys)
        else:
            assert issuer.key is not None  # noqa: S101 (read_issuers has checked it)
            keys = StaticKeys(Keys(issuer.key.get_secret_value(), issuer.algorithm))
        return _Source(issuer.id, frozenset(issuer.roles), keys)

    def _verifiers(self, role: Role) -> Verifiers:
        leeway_seconds = self._settings.token_leeway_seconds
        zero = one = None
        if Version.ZERO in self._settings.versions and (keys := self._keys(role)):
            zero = Verifier(*keys, time.time, leeway_seconds)
        issuers = {source.issuer: source.keys for source in self._sources if role in source.roles}
        if issuers:
            one = AccessVerifier(issuers, self._patterns, time.time, leeway_seconds)
        return Verifiers(zero, one)

    def _keys(self, role: Role) -> tuple[str, str] | None:
        """Return the key of the settings for a role, and its algorithm."""
        settings = self._settings
        key: SecretStr | None = settings.token_key
        algorithm = settings.token_algorithm
        if role == "subscribe" and settings.subscriber_token_key:
            key, algorithm = settings.subscriber_token_key, settings.subscriber_token_algorithm
        return (key.get_secret_value(), algorithm) if key else None

"""The settings of tokens, of both versions of the protocol."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from barestream.mercure import access_tokens, tokens
from barestream.mercure.topics import PATH, HubUrl
from barestream.mercure.version import Version
from barestream.settings.setting import (
    AN_ALGORITHM,
    Algorithm,
    check_origin,
    secret,
    setting,
    split,
)

_VERSIONS = [version.value for version in Version]

# RFC 6265, section 4.1.1.
_COOKIE_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class TokenSettings(BaseModel):
    """The settings of tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocols: str = setting(
        ",".join(_VERSIONS),
        "Versions of the Mercure protocol that the hub speaks.",
        f"{' or '.join(_VERSIONS)}, or both, separated by a comma",
    )
    token_key: SecretStr | None = secret(
        "Key that verifies the tokens of publishers and subscribers; without a key for publishers "
        "publishing is off.",
        "a secret (of at least 32 bytes for HS256), a public key in PEM, or a JWKS",
    )
    token_algorithm: Algorithm = setting(
        "HS256",
        "Algorithm of that key; a key of a JWKS may name its own.",
        AN_ALGORITHM,
    )
    subscriber_token_key: SecretStr | None = secret(
        "Key that verifies the tokens of subscribers; without it BARESTREAM_TOKEN_KEY does.",
        "a secret (of at least 32 bytes for HS256), a public key in PEM, or a JWKS",
    )
    subscriber_token_algorithm: Algorithm = setting(
        "HS256",
        "Algorithm of BARESTREAM_SUBSCRIBER_TOKEN_KEY; a key of a JWKS may name its own.",
        AN_ALGORITHM,
    )
    token_leeway_seconds: float = setting(
        5,
        "How far a token's nbf may be ahead of this machine's clock; exp has no leeway.",
        "a number of seconds from 0 to 300",
        "s",
        ge=0,
        le=300,
    )
    token_stream_seconds: float = setting(
        86_400,
        "How long a stream with a token lasts at most, even if its token is valid for longer; "
        "0 means no limit.",
        "a number of seconds, 0 or from 1 to 31536000",
        "s",
        ge=0,
        le=31_536_000,
    )
    revocations: int = setting(
        10_000,
        "How many revocations of tokens there may be; one more gets 507.",
        "a whole number from 0 to 100000",
        "revocations",
        # Each worker holds all of them, 0.7 KB each, and reads all of them again after each change,
        # which takes it 10 ms for each 1,000. So many are one for each log-out of an hour where
        # three users log out each second, and their tokens last for an hour.
        ge=0,
        le=100_000,
    )
    issuer: str | None = setting(
        None,
        "The iss of access tokens (Mercure 1.0) that the two keys above verify.",
        "text without spaces, such as https://example.com",
        pattern=r"^\S+$",
    )
    issuers: Path | None = setting(
        None,
        "A TOML file with further issuers of access tokens and their keys.",
        "the path of a readable TOML file with tables [[issuer]]",
    )
    resource_identifier: str | None = setting(
        None,
        "The hub's resource identifier, which the aud of access tokens names.",
        "the hub's public URL, such as https://example.com/.well-known/mercure",
    )
    public_urls: str = setting(
        "",
        "Origins at which clients reach the hub. Without BARESTREAM_RESOURCE_IDENTIFIER the aud of "
        "access tokens names the hub at the origin of the request, if it is one of these.",
        "origins in lower case, separated by commas, such as https://example.com",
    )
    access_token_cookie: str = setting(
        access_tokens.COOKIE,
        "The cookie of access tokens; browsers accept the prefix __Secure- only over TLS.",
        f"the name of a cookie, but not {tokens.COOKIE}",
    )

    @field_validator("protocols")
    @classmethod
    def _are_versions(cls, listed: str) -> str:
        names = split(listed)
        if not names or not set(names) <= set(_VERSIONS):
            raise ValueError
        return ",".join(dict.fromkeys(names))

    @field_validator("token_stream_seconds")
    @classmethod
    def _is_none_or_long_enough(cls, seconds: float) -> float:
        if 0 < seconds < 1:
            raise ValueError
        return seconds

    @field_validator("resource_identifier")
    @classmethod
    def _is_a_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise ValueError
        if not url.isascii() or not url.isprintable() or set(url) & set(' "\\?#'):
            raise ValueError
        HubUrl(url)
        return url

    @field_validator("public_urls")
    @classmethod
    def _are_public_origins(cls, listed: str) -> str:
        for origin in split(listed):
            check_origin(origin)
            if not origin.startswith(("http://", "https://")):
                raise ValueError(f"{origin!r} is not a URL of HTTP")
            HubUrl(f"{origin}{PATH}")
        return ",".join(dict.fromkeys(split(listed)))

    @field_validator("access_token_cookie")
    @classmethod
    def _is_a_name_of_its_own(cls, name: str) -> str:
        if not _COOKIE_NAME.fullmatch(name) or name == tokens.COOKIE:
            raise ValueError
        return name

    @property
    def versions(self) -> tuple[Version, ...]:
        """The versions of ``protocols``."""
        return tuple(map(Version, split(self.protocols)))

    @property
    def public_origins(self) -> list[str]:
        """The origins of ``public_urls``."""
        return split(self.public_urls)

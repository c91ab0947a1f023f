"""The file of the issuers of access tokens (BARESTREAM_ISSUERS)."""

import tomllib
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, field_validator

from barestream.mercure.keys import InvalidKeyError
from barestream.mercure.signatures import Keys
from barestream.settings.setting import AN_ALGORITHM, Algorithm

Role = Literal["publish", "subscribe"]
ROLES: tuple[Role, ...] = ("publish", "subscribe")

# What is expected of each field, for errors.
_EXPECTED = {
    "id": "the iss of the issuer's tokens",
    "algorithm": AN_ALGORITHM,
    "key": "a secret, a public key in PEM, or a JWKS",
    "key_file": "the path of a readable file with a key",
    "jwks_uri": "an https URI, or an http URI of this machine itself",
    "roles": f"an array of {' or '.join(ROLES)}, or of both, each once",
    "advertise": "true or false",
}


class InvalidIssuersError(ValueError):
    """A file of issuers that cannot be used; the message names the entry and the field."""


class Issuer(BaseModel):
    """An issuer and its keys: exactly one of key, key_file and jwks_uri.

    Attributes:
        id: The ``iss`` of its tokens.
        algorithm: The algorithm of the key; in a JWKS, of the keys that name none.
        key: A secret, a public key in PEM, or a JWKS.
        key_file: A file with such a key; a relative path begins at the folder of the TOML file.
        jwks_uri: Where the issuer publishes its JWKS.
        roles: What its tokens are accepted for.
        advertise: Whether the hub's metadata name it as an authorization server.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    algorithm: Algorithm = "RS256"
    key: SecretStr | None = None
    key_file: str | None = None
    jwks_uri: str | None = None
    roles: Sequence[Role] = ROLES
    advertise: bool = False

    @field_validator("id")
    @classmethod
    def _is_not_empty(cls, name: str) -> str:
        if not name:
            raise ValueError
        return name

    @field_validator("roles")
    @classmethod
    def _are_some(cls, roles: Sequence[Role]) -> Sequence[Role]:
        if not roles or len({*roles}) < len(roles):
            raise ValueError
        return roles

    @field_validator("jwks_uri")
    @classmethod
    def _is_safe(cls, uri: str) -> str:
        parts = urlsplit(uri)
        if not uri.isascii() or not uri.isprintable() or " " in uri:
            raise ValueError
        if not parts.hostname or not (
            parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))
        ):
            raise ValueError
        return uri


def read_issuers(path: Path) -> list[Issuer]:
    """Return the issuers of a file, each with its key or its URI.

    Raises:
        InvalidIssuersError: The file cannot be read, or an entry is not as expected.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidIssuersError(f"it cannot be read: {error}") from None
    entries = content.pop("issuer", None)
    if content or not isinstance(entries, list) or not entries:
        raise InvalidIssuersError("expected tables [[issuer]], and nothing else")
    found = [_read(entry, number, path.parent) for number, entry in enumerate(entries, 1)]
    taken: set[tuple[str, str]] = set()
    for issuer in found:
        for role in issuer.roles:
            if (issuer.id, role) in taken:
                raise InvalidIssuersError(f"two entries are for {issuer.id} and {role}")
            taken.add((issuer.id, role))
    return found


def _read(entry: Any, number: int, folder: Path) -> Issuer:
    try:
        issuer = Issuer.model_validate(entry)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0]) if error.errors()[0]["loc"] else "it"
        expected = _EXPECTED.get(name, f"only {', '.join(_EXPECTED)}")
        raise InvalidIssuersError(f"issuer {number}: {name}: expected {expected}") from None
    given = [name for name in ("key", "key_file", "jwks_uri") if getattr(issuer, name) is not None]
    if len(given) != 1:
        raise InvalidIssuersError(
            f"issuer {number}: expected exactly one of key, key_file and jwks_uri"
        )
    if issuer.key_file is not None:
        try:
            text = (folder / issuer.key_file).read_text().rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise InvalidIssuersError(
                f"issuer {number}: key_file: expected {_EXPECTED['key_file']} ({error})"
            ) from None
        issuer = issuer.model_copy(update={"key": SecretStr(text)})
    if issuer.key is not None:
        try:
            Keys(issuer.key.get_secret_value(), issuer.algorithm)
        except InvalidKeyError as error:
            raise InvalidIssuersError(f"issuer {number}: {given[0]}: {error}") from None
    return issuer


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""Tokens of both versions of Mercure, and the cookies that carry them."""

import base64
import hashlib
import hmac
import json
import math
import time
import uuid
from collections.abc import Iterable
from typing import Any, Literal

from barestream_client.address import PATH
from barestream_client.bearer import is_access_token

# The type of a token's detail, https://mercure.rocks/spec#authorization.
DETAIL_TYPE = "https://mercure.rocks/authorization-detail"

# The names of the cookies, in 0.x and in 1.0.
COOKIE_OF_0_X = "mercureAuthorization"
COOKIE_OF_1_0 = "__Secure-mercure_access_token"

_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}

SameSite = Literal["Strict", "Lax", "None"]


def mint(  # noqa: PLR0913 (one for each claim)
    key: str,
    *,
    publish: Iterable[str] = (),
    subscribe: Iterable[str] = (),
    publish_patterns: Iterable[str] = (),
    subscribe_patterns: Iterable[str] = (),
    seconds: float | None = 3600,
    protocol: Literal["0.x", "1.0"] = "0.x",
    algorithm: str = "HS256",
    key_id: str | None = None,
    issuer: str | None = None,
    audience: str | None = None,
    subject: str | None = None,
    payload: Any = None,
) -> str:
    """Return a token.

    Args:
        key: The secret that the hub has as ``BARESTREAM_TOKEN_KEY``; or, with an algorithm other
            than HS256, HS384 and HS512, the private key in PEM, which needs the package PyJWT with
            its extra ``crypto``.
        publish: Topics, and in 0.x templates, that its bearer may publish to; ``*`` stands for all.
        subscribe: Those whose private updates its bearer may read.
        publish_patterns: The same as ``publish`` by URL Patterns, in 1.0.
        subscribe_patterns: The same as ``subscribe``.
        seconds: For how long it is valid; None for a token without an end, in 0.x.
        protocol: The version of Mercure.
        algorithm: The algorithm of the key.
        key_id: The ``kid`` of the key, where the hub has several.
        issuer: The ``iss``; 1.0 needs it.
        audience: The ``aud``, the hub's resource identifier; 1.0 needs it.
        subject: The ``sub``: whose token it is.
        payload: What others may know of a subscriber with this token; an object in 1.0.

    Raises:
        ValueError: A claim that the version needs is missing, or one is of the other version; or
            the key is too short.
    """
    grants = {"publish": [*publish], "subscribe": [*subscribe]}
    patterns = {"publish": [*publish_patterns], "subscribe": [*subscribe_patterns]}
    claims: dict[str, Any] = {"iss": issuer, "aud": audience, "sub": subject}
    if protocol == "1.0":
        if not issuer or not audience or seconds is None:
            raise ValueError("a token of Mercure 1.0 needs issuer, audience and seconds")
        now = int(time.time())
        claims |= {"client_id": subject or issuer, "iat": now, "jti": str(uuid.uuid4())}
        claims["sub"] = subject or issuer
        claims["authorization_details"] = [
            _detail(action, grants[action], patterns[action], payload)
            for action in grants
            if grants[action] or patterns[action]
        ]
        header = {"typ": "at+jwt"}
    else:
        if any(patterns.values()):
            raise ValueError("URL Patterns are of Mercure 1.0; in 0.x give templates")
        claims["mercure"] = grants if payload is None else {**grants, "payload": payload}
        header = {"typ": "JWT"}
    if seconds is not None:
        claims["exp"] = math.floor(time.time() + seconds)
    if key_id is not None:
        header["kid"] = key_id
    told = {name: value for name, value in claims.items() if value is not None}
    return _signed(key, algorithm, header, told)


def cookie(  # noqa: PLR0913 (one for each attribute)
    token: str,
    *,
    seconds: float | None = None,
    secure: bool = True,
    domain: str | None = None,
    same_site: SameSite = "Strict",
    name: str | None = None,
) -> str:
    """Return the value of the header Set-Cookie that gives a browser a token.

    Args:
        token: The token; the cookie has the name of its version.
        seconds: For how long the browser keeps it, best longer than the token lives, so that the
            hub can say that it has ended; None until the browser is closed.
        secure: Whether it goes over TLS alone. Without TLS, in development, False.
        domain: The parent of the hosts of app and hub, where they differ.
        same_site: Whether pages of other sites send it.
        name: Another name, as ``BARESTREAM_ACCESS_TOKEN_COOKIE``.

    Raises:
        ValueError: Browsers would not accept it.
    """
    name = name or (COOKIE_OF_1_0 if is_access_token(token) else COOKIE_OF_0_X)
    if not secure and (name.startswith("__Secure-") or same_site == "None"):
        raise ValueError(
            f"browsers take {name} with SameSite={same_site} over TLS alone: give another name, or "
            "leave secure as it is"
        )
    parts = [f"{name}={token}", f"Path={PATH}"]
    parts += [f"Domain={domain}"] if domain else []
    parts += [f"Max-Age={math.floor(seconds)}"] if seconds is not None else []
    parts += ["Secure"] if secure else []
    return "; ".join([*parts, "HttpOnly", f"SameSite={same_site}"])


def _detail(action: str, topics: list[str], patterns: list[str], payload: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": DETAIL_TYPE,
        "actions": [action],
        "topics": [
            *({"match": topic} for topic in topics),
            *({"match": pattern, "match_type": "urlpattern"} for pattern in patterns),
        ],
    }
    return found if payload is None else {**found, "payload": payload}


def _signed(key: str, algorithm: str, header: dict[str, str], claims: dict[str, Any]) -> str:
    if algorithm not in _HASHES:
        # Only backends with a private key need it.
        import jwt  # noqa: PLC0415

        made: str = jwt.encode(claims, key, algorithm, headers=header)
        return made
    least_bytes = int(algorithm.removeprefix("HS")) // 8
    secret = key.encode()
    if len(secret) < least_bytes:
        raise ValueError(
            f"the key has {len(secret)} bytes, and {algorithm} needs at least {least_bytes}; "
            "openssl rand -hex 32 prints a secret of 64"
        )
    parts = [_encoded(json.dumps({"alg": algorithm, **header})), _encoded(json.dumps(claims))]
    signature = hmac.digest(secret, ".".join(parts).encode(), _HASHES[algorithm])
    return ".".join([*parts, _base64(signature)])


def _encoded(text: str) -> str:
    return _base64(text.encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

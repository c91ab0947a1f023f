"""Access tokens, which Mercure 1.0 has: verified and signed.

Pure. Sources: https://mercure.rocks/spec#authorization, RFC 9068 (JWT access tokens), RFC 9396
(authorization details).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from barestream.mercure.bearer import Bearer, Remembered, Verified
from barestream.mercure.keys import JWS, read_signing_key
from barestream.mercure.matchers import (
    EXACT,
    MATCHER_TYPES,
    URL_PATTERN,
    InvalidMatcherError,
    Matcher,
    selectors,
)
from barestream.mercure.patterns import Patterns
from barestream.mercure.selectors import Selectors
from barestream.mercure.signatures import (
    ACCESS_TOKEN_TYPE,
    InvalidTokenError,
    Keys,
    UnknownKeyError,
    time_claim,
    unverified,
    version_of,
)
from barestream.mercure.time_budget import at_once
from barestream.mercure.token_id import TokenId
from barestream.mercure.topics import PATH
from barestream.mercure.version import Version

DETAIL_TYPE = "https://mercure.rocks/authorization-detail"

# The action that allows revoking tokens. No topic, also not *, allows it.
OPERATE = "operate"

# A detail has at least one topic; beside this action it says nothing.
_OPERATED = (Matcher(f"{PATH}/revocations"),)

# The cookie that carries a token, by default.
COOKIE = "__Secure-mercure_access_token"

# A header has at most 32 KB in nginx; a token with the details of 100 topics has some 20 KB.
MOST_TOKEN_CHARACTERS = 32_768

# The most authorization details, and topics of all of them together: more than fit into a token of
# that length with topics as long as usual ones. Each is in the memory of every stream of the token.
MOST_DETAILS = 100
MOST_TOPICS = 500

# The most URL Patterns of one token: so many take 4 MB of the worker, and 7 ms to compile.
MOST_TOKEN_PATTERNS = 50


class Grant(NamedTuple):
    """What an access token grants.

    Attributes:
        publish: The topics that it may publish to.
        subscribe: The topics that it may read.
        may_operate: Whether it may revoke tokens.
    """

    publish: list[Matcher]
    subscribe: list[Matcher]
    may_operate: bool


class KeySource(Protocol):
    """Where the keys of an issuer come from.

    Attributes:
        keys: The issuer's keys; None as long as there are none.
    """

    @property
    def keys(self) -> Keys | None: ...

    async def refresh(self) -> bool:
        """Read the keys again, if that is due; return whether they are other ones."""


class KeysMayHaveChangedError(InvalidTokenError):
    """A token for which its issuer has no key, as far as is known; the issuer may have one by now.

    Attributes:
        source: Where the issuer's keys come from.
    """

    def __init__(self, why: str, source: KeySource) -> None:
        super().__init__(why)
        self.source = source


class AccessVerifier:
    """Verifies access tokens, and remembers the newest ones that it has verified.

    Args:
        issuers: The keys of each issuer; a token is verified by the keys of its own issuer alone.
        patterns: Where the compiled patterns of tokens are held.
        now: The wall clock, in seconds.
        leeway_seconds: How far a token's ``nbf`` may be ahead of the clock.
    """

    def __init__(
        self,
        issuers: Mapping[str, KeySource],
        patterns: Patterns,
        now: Callable[[], float],
        leeway_seconds: float = 0,
    ) -> None:
        self._issuers = issuers
        self._patterns = patterns
        self._remembered = Remembered(now, leeway_seconds)
        # Remembered tokens hold patterns too, and can be verified again.
        patterns.add_cache(self._remembered.clear)

    def verify(self, token: str, resource: str) -> Bearer:
        """Return what an access token allows.

        Args:
            token: The token, in compact serialization.
            resource: The hub's resource identifier, which ``aud`` must contain.

        Raises:
            InvalidTokenError: It is no access token, its issuer did not sign it, it has expired, is
                not valid yet, is for another hub, or has a detail that cannot be read.
            KeysMayHaveChangedError: Its issuer has no key that it names, or no keys that are known.
            TooManyPatternsError: There is no room for further URL Patterns.
        """
        verified = self._remembered.get(token)
        if verified is not None and not self._is_current(verified.keys):
            self._remembered.forget(token)
            verified = None
        if verified is None:
            verified = self._verify(token)
            self._remembered.add(token, verified)
        if resource not in verified.audience:
            raise InvalidTokenError(f"The token's aud is not {resource}.")
        return verified.bearer

    def _is_current(self, keys: Keys) -> bool:
        return any(source.keys is keys for source in self._issuers.values())

    def _verify(self, token: str) -> Verified:
        if version_of(token) is not Version.ONE:
            # A text that is no token at all is told so.
            unverified(token)
            raise InvalidTokenError(
                "The token is one of Mercure 0.x, because its typ is not at+jwt, and this request "
                "is one of 1.0: send an access token, or subscribe by topic."
            )
        check_length(token)
        _, claimed = unverified(token)
        issuer = claimed.get("iss")
        source = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if source is None:
            raise InvalidTokenError(
                "The token's iss is not one of the hub's issuers for this. It must be equal, and "
                "the roles in BARESTREAM_ISSUERS must allow it."
                if "iss" in claimed
                else "The token has no iss claim."
            )
        keys = source.keys
        if keys is None:
            raise KeysMayHaveChangedError("The keys of the token's issuer are not known.", source)
        try:
            claims = keys.claims(token)
        except UnknownKeyError as error:
            raise KeysMayHaveChangedError(str(error), source) from None
        expires_at, valid_from = time_claim(claims, "exp"), time_claim(claims, "nbf")
        if expires_at is None:
            raise InvalidTokenError("The token has no exp claim.")
        grant = granted(claims)
        bearer = Bearer(
            self._selectors(grant.publish),
            self._selectors(grant.subscribe),
            expires_at,
            TokenId.of(token, claims),
            grant.may_operate,
        )
        return Verified(bearer, valid_from, keys, _audience(claims))

    def _selectors(self, matchers: list[Matcher]) -> Selectors:
        try:
            return at_once(selectors(matchers, self._patterns, MOST_TOKEN_PATTERNS))
        except InvalidMatcherError as error:
            raise InvalidTokenError(f"The token's authorization_details: {error}.") from None


def check_length(token: str) -> None:
    """Refuse a token that is too long.

    Raises:
        InvalidTokenError: It has more than MOST_TOKEN_CHARACTERS.
    """
    if len(token) > MOST_TOKEN_CHARACTERS:
        raise InvalidTokenError(
            f"The token has {len(token)} characters; at most {MOST_TOKEN_CHARACTERS} are allowed."
        )


def sign_access_token(  # noqa: PLR0913 (one for each part of a token)
    key: str,
    algorithm: str,
    claims: Mapping[str, Any],
    publish: Sequence[Matcher],
    subscribe: Sequence[Matcher],
    *,
    operate: bool = False,
) -> str:
    """Return a signed access token; its claims and matchers are not checked.

    Args:
        key: A secret (HS*) or a private key in PEM.
        algorithm: One of ``ALGORITHMS``.
        claims: The claims beside ``authorization_details``, such as ``iss`` and ``aud``.
        publish: The topics that it may publish to.
        subscribe: The topics whose private updates it may read.
        operate: Whether it may revoke tokens.

    Raises:
        InvalidKeyError: The key does not suit the algorithm, is shorter than RFC 7518 demands, or
            is a public one.
    """
    material = read_signing_key(key, algorithm)
    details = [
        {
            "type": DETAIL_TYPE,
            "actions": [action],
            "topics": [matcher._asdict() for matcher in matchers],
        }
        for action, matchers in (
            ("publish", publish),
            ("subscribe", subscribe),
            (OPERATE, _OPERATED if operate else ()),
        )
        if matchers
    ]
    payload = json.dumps({**claims, "authorization_details": details}).encode()
    return JWS.encode(payload, material, algorithm, headers={"typ": ACCESS_TOKEN_TYPE})


def _audience(claims: dict[str, Any]) -> tuple[str, ...]:
    audience = claims.get("aud")
    if isinstance(audience, str):
        return (audience,)
    if isinstance(audience, list) and all(isinstance(each, str) for each in audience):
        return tuple(audience)
    if audience is None:
        raise InvalidTokenError("The token has no aud claim.")
    raise InvalidTokenError("The token's aud claim is not a string or an array of strings.")


def granted(claims: dict[str, Any]) -> Grant:
    """Return what a token with these claims grants.

    One detail that cannot be read refuses the whole token, because without it the token would mean
    something else. An action that is not known grants nothing.

    Raises:
        InvalidTokenError: A detail cannot be read, or there are too many details or topics.
    """
    details = claims.get("authorization_details", [])
    if not isinstance(details, list):
        raise _unreadable("it is not an array")
    if len(details) > MOST_DETAILS:
        raise _unreadable(f"it has {len(details)} entries; at most {MOST_DETAILS} are allowed")
    publish: list[Matcher] = []
    subscribe: list[Matcher] = []
    may_operate = False
    topics = patterns = 0
    for detail in details:
        if not isinstance(detail, dict) or not isinstance(detail.get("type"), str):
            raise _unreadable("an entry is not an object with a type")
        if detail["type"] != DETAIL_TYPE:
            continue
        actions, matchers = _actions(detail), _topics(detail)
        if not isinstance(detail.get("payload", {}), dict):
            raise _unreadable("a payload is not an object")
        if "publish" in actions:
            publish += matchers
        if "subscribe" in actions:
            subscribe += matchers
        may_operate = may_operate or OPERATE in actions
        topics += len(matchers)
        if topics > MOST_TOPICS:
            raise _unreadable(f"it has more than {MOST_TOPICS} topics")
        patterns += sum(matcher.match_type == URL_PATTERN for matcher in matchers)
        if patterns > MOST_TOKEN_PATTERNS:
            raise _unreadable(f"it has more than {MOST_TOKEN_PATTERNS} URL Patterns")
    return Grant(publish, subscribe, may_operate)


def _actions(detail: dict[str, Any]) -> list[str]:
    actions = detail.get("actions")
    if (
        not isinstance(actions, list)
        or not actions
        or not all(isinstance(each, str) for each in actions)
    ):
        raise _unreadable("the actions of an entry are not an array of strings with at least one")
    return actions


def _topics(detail: dict[str, Any]) -> list[Matcher]:
    topics = detail.get("topics")
    if not isinstance(topics, list) or not topics:
        raise _unreadable("the topics of an entry are not an array with at least one entry")
    found = []
    for topic in topics:
        match = topic.get("match") if isinstance(topic, dict) else None
        if not isinstance(match, str):
            raise _unreadable("a topic is not an object with a match")
        match_type = topic.get("match_type", EXACT)
        if match_type not in MATCHER_TYPES:
            raise _unreadable(f"a match_type is not one of {', '.join(MATCHER_TYPES)}")
        found.append(Matcher(match, match_type))
    return found


def _unreadable(why: str) -> InvalidTokenError:
    return InvalidTokenError(f"The token's authorization_details: {why}.")

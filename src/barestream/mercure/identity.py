"""Who a token was given to, and what it says of them. Pure.

Source: https://mercure.rocks/spec#payloads; for 0.x the tag v0.24.2 of dunglas/mercure
"""

import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple

from barestream.mercure.selectors import Selectors
from barestream.mercure.signatures import InvalidTokenError


class Payload(NamedTuple):
    """What a token says of its bearer, to those who may see the bearer's subscriptions.

    Attributes:
        covers: It is that of the subscriptions whose selector is, as if it were a topic, one of
            these.
        value: It, as canonical JSON; empty for none.
    """

    covers: Selectors
    value: str


class Identity(NamedTuple):
    """Who a token was given to.

    Attributes:
        issuer: Its ``iss``; empty for none.
        subject: Its ``sub``; empty for none.
        payloads: Its payloads; the first that covers a subscription counts.
    """

    issuer: str = ""
    subject: str = ""
    payloads: tuple[Payload, ...] = ()

    def payload(self, selector: str) -> str:
        """Return the payload of a subscription, as canonical JSON; empty for none."""
        found = (each.value for each in self.payloads if each.covers.match(selector))
        return next(found, "")

    def member(self, payload: str) -> str:
        """Return the name of a member of presence: ``sub``, else the payload; empty for none."""
        return self.subject or payload

    def key(self, payload: str) -> str:
        """Return a key that is the same for whom presence counts as the same; empty for nobody.

        It is a digest, so that it is short, and so that nothing of the token is in the history
        where nobody looks for it.
        """
        member = self.member(payload)
        if not member:
            return ""
        whole = json.dumps([self.issuer, bool(self.subject), member])
        return hashlib.sha256(whole.encode()).hexdigest()[:32]

    def keys(self) -> Iterator[str]:
        """Yield each key that a subscription with this token may have."""
        payloads = dict.fromkeys(("", *(each.value for each in self.payloads)))
        yield from filter(None, dict.fromkeys(map(self.key, payloads)))


NOBODY = Identity()


def identity_of(claims: dict[str, object], payloads: tuple[Payload, ...]) -> Identity:
    """Return who a token's claims name; a name that is no text in Unicode is none."""
    return Identity(_text(claims.get("iss")), _text(claims.get("sub")), payloads)


def canonical(value: object) -> str:
    """Return a payload as JSON in ASCII, in which equal objects are equal texts.

    Raises:
        InvalidTokenError: It has a number that JSON does not have.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise InvalidTokenError("The token's payload has a number that JSON has not.") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    # JSON can name a lone surrogate, which the history cannot hold.
    is_text = value.isascii() or not any("\ud800" <= each <= "\udfff" for each in value)
    return value if is_text else ""

"""What a request says about revocations."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from bareasgi import HttpRequest

from barestream.history.revocations import Revocation, Selection
from barestream.web.form import Form, query
from barestream.web.json_body import read_json
from barestream.web.refusals import bad_request, too_large
from barestream.web.update_fields import check_encodable, is_number

# A body has three texts and two numbers.
_MOST_BODY_BYTES = 32 * 1024

# Each worker holds them. Tokens with longer ones can be revoked by their SHA-256.
_MOST_CHARACTERS = 1024

_FIELDS = ("issuer", "jti", "sub", "sha256", "issued_before", "until")

_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_ID = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[0-9]{1,4}")

# The end of the year 9999, the last that most libraries know.
_MOST_SECONDS = 253_402_300_799

_MOST_LISTED = 1000
_LISTED = 100


async def read_revocation(request: HttpRequest, now: float) -> Revocation:
    """Return the revocation that a request asks for.

    Args:
        request: The request.
        now: The time, in seconds since 1970-01-01 UTC.

    Raises:
        Refused: 400, 413 or 415 for a body that is malformed.
    """
    return revocation_of(await read_json(request, _MOST_BODY_BYTES), now)


def revocation_of(value: object, now: float) -> Revocation:
    """Return the revocation that an object with the fields of a request asks for.

    Args:
        value: The object.
        now: The time, in seconds since 1970-01-01 UTC.

    Raises:
        Refused: 400 or 413 for what is malformed.
    """
    if not isinstance(value, dict) or not value.keys() <= {*_FIELDS}:
        raise bad_request(f"Expected an object with the fields {', '.join(_FIELDS)}.")
    given = {name: each for name, each in value.items() if each is not None}
    kinds = given.keys() & {"jti", "sub", "sha256"}
    if len(kinds) != 1:
        raise bad_request("Expected one of jti, sub and sha256.")
    sha256 = given.get("sha256")
    if sha256 is not None:
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise bad_request("sha256: expected 64 hexadecimal digits.")
        if "issuer" in given:
            raise bad_request("issuer: a SHA-256 needs none.")
        sha256 = sha256.lower()
    if "issued_before" in given and "sub" not in given:
        raise bad_request("issued_before: only with sub.")
    issuer, jti, subject = (_text(given, name) for name in ("issuer", "jti", "sub"))
    selection = Selection(issuer, jti, subject, sha256)
    now_ms = round(1000 * now)
    until_ms = _ms(given, "until")
    if until_ms is not None and until_ms <= now_ms:
        raise bad_request("until: expected a time that is still to come.")
    before_ms = _ms(given, "issued_before") if "issued_before" in given else now_ms
    return Revocation(selection, now_ms, until_ms, (before_ms or 0) if "sub" in given else 0)


class ListRequest(NamedTuple):
    """A request for a page of the list.

    Attributes:
        after: The page begins behind this id.
        limit: How many revocations the page has at most.
    """

    after: str
    limit: int

    @classmethod
    def read(cls, request: HttpRequest) -> "ListRequest":
        """Read a request.

        Raises:
            Refused: 400 for a query that is malformed.
        """
        form = query(request)
        after = _id(form, "after") if "after" in form else ""
        [limit, *others] = form.get("limit", [str(_LISTED)])
        if others or not _NUMBER.fullmatch(limit) or not 1 <= int(limit) <= _MOST_LISTED:
            raise bad_request(f"limit: expected one whole number from 1 to {_MOST_LISTED}.")
        return cls(after, int(limit))


def asked_id(request: HttpRequest) -> str:
    """Return the id that a query names.

    Raises:
        Refused: 400 for a query that is malformed.
    """
    return _id(query(request), "id")


def _id(form: Form, name: str) -> str:
    values = form.get(name, ())
    if len(values) != 1 or not _ID.fullmatch(values[0]):
        raise bad_request(f"{name}: expected the id of a revocation, 32 hexadecimal digits.")
    return values[0]


def _text(fields: Mapping[str, object], name: str) -> str | None:
    text = fields.get(name)
    if text is None:
        return None
    if not isinstance(text, str) or not text:
        raise bad_request(f"{name}: expected a text that is not empty.")
    if len(text) > _MOST_CHARACTERS:
        raise too_large(
            f"{name} is longer than {_MOST_CHARACTERS} characters. Revoke the token by its sha256."
        )
    check_encodable(text, name)
    return text


def _ms(fields: Mapping[str, object], name: str) -> int | None:
    """Return a time in milliseconds; a part of one counts as a whole one."""
    seconds = fields.get(name)
    if seconds is None:
        return None
    if not is_number(seconds) or not 0 <= seconds <= _MOST_SECONDS:
        raise bad_request(
            f"{name}: expected a time in seconds since 1970-01-01 UTC, at most {_MOST_SECONDS}."
        )
    return math.ceil(1000 * seconds)

"""What a request says about a run."""

import math
import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from bareasgi import HttpRequest

from barestream.history.producers import Claim, Lease
from barestream.mercure.run_topics import is_dots, run_topic
from barestream.web.form import query
from barestream.web.json_body import read_json
from barestream.web.producer_request import (
    LEAST_LEASE_SECONDS,
    MOST_LEASE_SECONDS,
    producer_id,
)
from barestream.web.refusals import bad_request, too_large
from barestream.web.update_fields import check_seen, is_number

# A topic of a run has its key with each byte percent-encoded, in the worst case three characters
# for each of four bytes, and its id; a topic may have 2,048 characters.
_MOST_KEY_CHARACTERS = 128

# Random, so that nobody can guess the topic of a run, and with characters that need no encoding.
_ID = re.compile(r"[0-9A-Za-z_-]{16,64}")

# A body has a key, three names and two numbers.
_MOST_BODY_BYTES = 16 * 1024

_FIELDS = ("key", "id", "runner", "lease", "expires")

_DEFAULT_LEASE_SECONDS = 6


class RunnerRequest(NamedTuple):
    """Is for the process of a run.

    Attributes:
        key: Its key.
        id: Its id; None for the newest run of the key.
    """

    key: str
    id: str | None

    @classmethod
    def read(cls, request: HttpRequest) -> "RunnerRequest":
        """Read a request.

        Raises:
            Refused: 400 or 413 for a query that is malformed.
        """
        ids = query(request).get("id", [])
        if len(ids) > 1:
            raise bad_request("The query has more than one parameter id.")
        return cls(asked_key(request), ids[0] if ids else None)


def asked_key(request: HttpRequest) -> str:
    """Return the key that a query names.

    Raises:
        Refused: 400 or 413 for a query that is malformed.
    """
    keys = query(request).get("key", [])
    if len(keys) != 1:
        raise bad_request("Expected one parameter key, with a value.")
    return checked_key(keys[0], "key")


def checked_key(key: object, name: str) -> str:
    """Return a key; the error gives its place the name.

    Raises:
        Refused: 400 or 413 for what is none.
    """
    if not isinstance(key, str) or not key:
        raise bad_request(f"{name}: expected a text that is not empty.")
    if len(key) > _MOST_KEY_CHARACTERS:
        raise too_large(f"{name} is longer than {_MOST_KEY_CHARACTERS} characters.")
    check_seen(key, name)
    return _no_dots(key, name)


async def read_claim(request: HttpRequest, ended_seconds: float) -> Claim:
    """Read a request for a run to be started (see claim_of).

    Raises:
        Refused: 400, 413 or 415 for a body that is malformed.
    """
    return claim_of(await read_json(request, _MOST_BODY_BYTES), ended_seconds)


def claim_of(value: object, ended_seconds: float) -> Claim:
    """Return the claim that an object with the fields of a start asks for.

    Args:
        value: The object.
        ended_seconds: For how long a topic may stay ended; a run is known for no longer after its
            end.

    Raises:
        Refused: 400 or 413 for what is malformed.
    """
    if not isinstance(value, dict) or not value.keys() <= {*_FIELDS}:
        raise bad_request(f"Expected an object with the fields {', '.join(_FIELDS)}.")
    key = checked_key(value.get("key"), "key")
    runner = value.get("runner")
    if not isinstance(runner, str):
        raise bad_request("runner: expected a string.")
    run_id = value.get("id", secrets.token_hex(16))
    if not isinstance(run_id, str) or not _ID.fullmatch(run_id):
        raise bad_request("id: expected 16 to 64 letters and digits of ASCII, hyphens and _.")
    least, most = LEAST_LEASE_SECONDS, MOST_LEASE_SECONDS
    lease_seconds = _seconds(value, "lease", _DEFAULT_LEASE_SECONDS, least, most)
    # Who asks for more cannot know the hub's setting.
    expires_seconds = min(_seconds(value, "expires", ended_seconds, 1, math.inf), ended_seconds)
    return Claim(
        key,
        run_id,
        run_topic(key, run_id),
        _no_dots(producer_id(runner, "runner"), "runner"),
        Lease(lease_seconds, private=True, ended_seconds=expires_seconds),
        expires_seconds,
    )


def _no_dots(text: str, name: str) -> str:
    if is_dots(text):
        raise bad_request(f"{name}: {text} cannot be a part of a topic.")
    return text


def _seconds(
    fields: Mapping[str, object], name: str, default: float, least: float, most: float
) -> float:
    value = fields.get(name, default)
    if is_number(value) and least <= value <= most:
        return value
    to_most = "" if math.isinf(most) else f" to {most:.15g}"
    raise bad_request(f"{name}: expected a number of seconds from {least}{to_most}.")

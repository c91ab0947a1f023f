"""The fields of an update beside its topics and data: what each of them may be."""

import math
from collections.abc import Mapping
from typing import TypeGuard

from barestream.mercure.header_text import FORM, MOST_CHARACTERS, is_header_text
from barestream.mercure.reserved import EARLIEST, MERCURE_TYPE, OWN_TYPES
from barestream.mercure.sse import InvalidEventError, refuse_surrogates
from barestream.mercure.topics import unseen_character
from barestream.web.refusals import bad_request, too_large

# A type is a name that scripts listen for.
_MOST_TYPE_CHARACTERS = 255


# A day: a client that stays away for longer has lost its history anyway.
_MOST_RETRY_MS = 86_400_000

# A year, as for BARESTREAM_HISTORY_SECONDS. Who needs a value for longer keeps it without a limit.
_MOST_KEEP_SECONDS = 31_536_000
_FOREVER = "forever"
_KEEP_FORM = f"a number of seconds from 0 to {_MOST_KEEP_SECONDS}, or {_FOREVER}"

A_SURROGATE = "a lone surrogate, which UTF-8 cannot encode"


def check_encodable(text: str, name: str) -> None:
    """Refuse a text that UTF-8 cannot encode; the error gives it the name."""
    try:
        refuse_surrogates(text)
    except InvalidEventError:
        raise bad_request(f"{name} has {A_SURROGATE}.") from None


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value of JSON is a number."""
    # True is an int of Python.
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_seen(text: str, name: str) -> None:
    """Refuse a text with a character that nobody sees; the error gives it the name."""
    check_encodable(text, name)
    unseen = unseen_character(text)
    if unseen is not None:
        raise bad_request(f"{name} has the control or format character U+{ord(unseen):04X}.")


def _text(fields: Mapping[str, object], name: str) -> str | None:
    """Return a text; an empty one counts as none."""
    text = fields[name]
    if not isinstance(text, str):
        raise bad_request(f"{name}: expected a string.")
    return text or None


def read_id(fields: Mapping[str, object]) -> str | None:
    """Return the publisher's id; None for an empty one.

    Raises:
        Refused: 400 or 413, as for every field.
    """
    own_id = _text(fields, "id")
    if own_id is not None:
        if own_id.startswith("#"):
            raise bad_request("id starts with #: such ids are reserved for the hub.")
        if own_id == EARLIEST:
            raise bad_request(f"id is {EARLIEST}: that word is reserved.")
        # Every client sends an id back in its Last-Event-ID header.
        if len(own_id) > MOST_CHARACTERS:
            raise too_large(f"id is longer than {MOST_CHARACTERS} characters.")
        if not is_header_text(own_id):
            raise bad_request(f"id: expected {FORM}.")
    return own_id


def read_type(fields: Mapping[str, object]) -> str | None:
    """Return the type; None for an empty one."""
    kind = _text(fields, "type")
    if kind is not None:
        if len(kind) > _MOST_TYPE_CHARACTERS:
            raise too_large(f"type is longer than {_MOST_TYPE_CHARACTERS} characters.")
        check_seen(kind, "type")
        if kind == MERCURE_TYPE:
            raise bad_request(f"type is {MERCURE_TYPE}, which is reserved for the hub.")
        if kind.startswith(OWN_TYPES):
            raise bad_request(f"type starts with {OWN_TYPES}: such types are reserved for the hub.")
    return kind


def read_retry_ms(fields: Mapping[str, object]) -> int | None:
    """Return the reconnection delay; None for 0."""
    retry = fields["retry"]
    # Publishers send 0 for "none"; on the wire it would make browsers reconnect without a pause.
    if is_number(retry) and isinstance(retry, int) and 0 <= retry <= _MOST_RETRY_MS:
        return retry or None
    raise bad_request(f"retry: expected a whole number of milliseconds from 0 to {_MOST_RETRY_MS}.")


def read_keep_seconds(fields: Mapping[str, object]) -> float:
    """Return for how long the update is kept; infinite without a limit."""
    keep = fields["keep"]
    if keep == _FOREVER:
        return math.inf
    if is_number(keep) and 0 <= keep <= _MOST_KEEP_SECONDS:
        # A -0.0 would have another digest.
        return float(keep) or 0.0
    raise bad_request(f"keep: expected {_KEEP_FORM}.")

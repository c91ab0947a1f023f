"""A JSON body, read in a bounded time.

Source: https://www.rfc-editor.org/rfc/rfc8259
"""

import json
from itertools import accumulate

from bareasgi import HttpRequest

from barestream.web.body import JSON_TYPE, body_type, not_of_type, read_whole
from barestream.web.refusals import Refused, bad_request, too_large

# Reading a body holds the worker's loop, and so does writing data as JSON. 40,000 names take 18 ms
# and 4 ms, as many numbers of 17 digits 10 ms and 12 ms. A string costs little, however long it is:
# one of 1.6 MB takes 9 ms.
MOST_VALUES = 40_000

# Some parsers of the readers refuse a deeper text: that of Ruby begins to at 101 levels.
MOST_DEPTH = 100

# No number of JavaScript has more than 309. Python's time for one grows with the square of its
# digits: 372 numbers of 4,300 digits took 70 ms.
MOST_DIGITS = 400

_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_TOO_MANY_DIGITS = b"0" * (MOST_DIGITS + 1)

_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - set(_STEPS))


class Flaw:
    """What stands in a parsed body for a value that JSON does not have, or that is not clear.

    It is no error of the whole body, so that an error can name the part that has it.

    Attributes:
        why: What is wrong, as a sentence.
    """

    def __init__(self, why: str) -> None:
        self.why = why


class UnwritableError(ValueError):
    """A value that cannot be written as JSON; the message is a sentence that says why."""


def parse(encoded: bytes) -> object:
    """Return the value of a body.

    Raises:
        Refused: 400 for a body that is not JSON in UTF-8, or too deep, or has a number with too
            many digits; 413 for one with too many values.
    """
    try:
        text = encoded.decode()
    except UnicodeDecodeError:
        raise bad_request("The JSON cannot be read: it is not UTF-8.") from None
    _check_size(encoded)
    try:
        if text.startswith("\ufeff"):
            raise json.JSONDecodeError("Unexpected UTF-8 BOM", text, 0)
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise bad_request(f"The JSON cannot be read: {error}.") from None


async def read_json(request: HttpRequest, most_bytes: int) -> object:
    """Return the value of a request's body, which has no flaw as a whole.

    Raises:
        Refused: 400, 413 or 415 for a body that is malformed.
    """
    if body_type(request) != JSON_TYPE:
        raise not_of_type(JSON_TYPE)
    value = parse(await read_whole(request, most_bytes))
    if isinstance(value, Flaw):
        raise bad_request(value.why)
    return value


def compact(value: object) -> str:
    """Return a value of a parsed body as JSON without white space; it may have lone surrogates.

    Raises:
        UnwritableError: It has a flaw, or a number that is too large.
    """
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_refuse
        )
    except UnwritableError:
        raise
    except ValueError:
        raise UnwritableError("It has a number that is larger than 1.7e308.") from None


def quoted(name: str) -> str:
    """Return a name of an object, in the form for an error: in ASCII, and not longer than 100."""
    return json.dumps(name if len(name) <= 50 else f"{name[:50]}…")


def _check_size(encoded: bytes) -> None:
    """Refuse a text that would take long to parse; its parser refuses one that is not JSON."""
    if len(encoded) <= MOST_DIGITS and encoded.count(b"[") + encoded.count(b"{") <= MOST_DEPTH:
        # A line of a streamed publish is mostly as short, and the rest takes twice its parse.
        return
    # What remains between the quotes is within no string. Each step takes up to 5 ms for 1.6 MB.
    plain = encoded.replace(b"\\\\", b"").replace(b'\\"', b"")
    # A value may have a name, and both may be strings, of two quotes each.
    if plain.count(b'"') > 4 * MOST_VALUES:
        raise _too_many_values()
    outside = b"".join(plain.split(b'"')[::2])
    # Before each value but the first is a comma, or the bracket that begins what it is in.
    if sum(map(outside.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise _too_many_values()
    if _TOO_MANY_DIGITS in outside.translate(_AS_ZEROS):
        raise bad_request(f"The JSON has a number with more than {MOST_DIGITS} digits in a row.")
    # More of them cannot be balanced: the parser ends at one that closes nothing.
    brackets = outside.translate(None, _NO_BRACKETS)[: 2 * MOST_VALUES]
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MOST_DEPTH:
        raise bad_request(
            f"The JSON has arrays and objects within one another, more than {MOST_DEPTH} deep."
        )


def _too_many_values() -> Refused:
    return too_large(
        f"The JSON has more than {MOST_VALUES} values. Send data as a string; it counts as one."
    )


def _object(pairs: list[tuple[str, object]]) -> object:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            break
        seen.add(name)
    return Flaw(f"An object has the name {quoted(name)} more than once.")


def _constant(name: str) -> Flaw:
    return Flaw(f"JSON has no number {name}.")


def _refuse(flaw: Flaw) -> None:
    raise UnwritableError(flaw.why)


# json.loads would make one for each text, which takes as long as to parse a short one.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)

"""Names and values of a query or a form's body.

Source: https://url.spec.whatwg.org/#application/x-www-form-urlencoded
"""

import re
from binascii import a2b_qp
from collections.abc import Mapping
from functools import lru_cache

from bareasgi import HttpRequest

from barestream.web.refusals import bad_request

# No form of the hub needs as many, and splitting them does not hold the loop for long. A query
# needs no such bound, because its size is bounded.
MOST_FIELDS = 1000

# A "%" that begins no encoded byte stands for itself. Each takes 0.1 us, so a form of nothing else
# would hold the worker for 0.1 s. Encoders write it as %25.
MOST_BARE_PERCENTS = 10_000

# So many short names, values and queries that were read are remembered: they are mostly repeated.
MOST_REMEMBERED = 1024
MOST_REMEMBERED_BYTES = 256

# The key of the parsed query in a request's context. Without it each part that reads the query
# would parse it again; five times took a third of a stream's connect.
_QUERY = "barestream.query"

_BARE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_AS_KINDS = bytes(
    ord("h") if chr(byte) in "0123456789ABCDEFabcdef" else byte if byte == ord("%") else ord(".")
    for byte in range(256)
)
_AS_QUOTED_PRINTABLE = bytes.maketrans(b"%+", b"= ")

Form = Mapping[str, list[str]]


class MalformedFormError(ValueError):
    """A text that is not a valid form; the message gives its sender the reason."""


def body(encoded: bytes) -> Form:
    """Return the values of a body by their names, each in the order of the form.

    Raises:
        MalformedFormError: It is not UTF-8, or has too many fields or bare percent signs.
    """
    if encoded.count(b"&") >= MOST_FIELDS:
        raise MalformedFormError(f"it has more than {MOST_FIELDS} fields")
    return _parse(encoded)


def fields(encoded: bytes) -> Form:
    """Return the values of a request's body by their names.

    Raises:
        Refused: 400 for a body that is not a valid form.
    """
    try:
        return body(encoded)
    except MalformedFormError as error:
        raise bad_request(f"The form cannot be read: {error}.") from None


def names(encoded: bytes) -> list[str]:
    """Return the name of each field of a valid form, in the order of the form."""
    return [_decoded(field.partition(b"=")[0]) for field in encoded.split(b"&") if field]


def add_to_query(request: HttpRequest, added: Form) -> None:
    """Have ``query`` return further values beside those of a request's query."""
    form = query(request)
    request.context[_QUERY] = {
        name: [*form.get(name, ()), *added.get(name, ())] for name in dict.fromkeys([*form, *added])
    }


def query(request: HttpRequest) -> Form:
    """Return the values of a request's query, and those that were added to them.

    Raises:
        Refused: It is not UTF-8, or has too many bare percent signs.
    """
    form: Form | None = request.context.get(_QUERY)
    if form is None:
        form = request.context[_QUERY] = of_query(request.scope["query_string"])
    return form


def of_query(encoded: bytes) -> Form:
    """Return the values of a query.

    Raises:
        Refused: As with ``query``.
    """
    try:
        # Many clients have the same short query.
        return (_parsed if len(encoded) <= MOST_REMEMBERED_BYTES else _parse)(encoded)
    except MalformedFormError as error:
        raise bad_request(f"The query cannot be read: {error}.") from None


def _parse(encoded: bytes) -> Form:
    form: dict[str, list[str]] = {}
    try:
        # The encoded text itself must be UTF-8: a decoded byte must not complete a broken sequence.
        encoded.decode()
        for field in encoded.split(b"&"):
            if field:
                name, _, value = field.partition(b"=")
                form.setdefault(_decoded(name), []).append(_decoded(value))
    except UnicodeDecodeError:
        raise MalformedFormError("it is not UTF-8") from None
    return form


def _decoded(encoded: bytes) -> str:
    """Return a name or a value without its percent-encoding."""
    if b"%" not in encoded:
        return encoded.replace(b"+", b" ").decode()
    return (_remembered if len(encoded) <= MOST_REMEMBERED_BYTES else _undone)(encoded)


def _undone(encoded: bytes) -> str:
    """Return a name or a value without its percent-encoding, of which it has some.

    A "%XX" is the "=XX" of quoted-printable, which the standard library reads in C: 512,000 of them
    take 4 ms, where urllib.parse takes 0.1 s. All else that quoted-printable has, such as a soft
    line break, begins with "=" too, and each "=" is encoded before.
    """
    encoded = encoded.replace(b"=", b"%3D")
    bare = encoded.count(b"%") - encoded.translate(_AS_KINDS).count(b"%hh")
    if bare > MOST_BARE_PERCENTS:
        raise MalformedFormError(
            f'it has more than {MOST_BARE_PERCENTS} "%" without two hexadecimal digits; '
            'encode a "%" as %25'
        )
    if bare:
        encoded = _BARE_PERCENT.sub(b"%25", encoded)
    return a2b_qp(encoded.translate(_AS_QUOTED_PRINTABLE)).decode()


_remembered = lru_cache(MOST_REMEMBERED)(_undone)
_parsed = lru_cache(MOST_REMEMBERED)(_parse)

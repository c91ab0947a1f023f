"""Names and values of a query or a form's body.

Source: https://url.spec.whatwg.org/#application/x-www-form-urlencoded
"""

from collections.abc import Mapping
from urllib.parse import parse_qs

from bareasgi import HttpRequest

# More than any form here has a use for, and few enough to be split at once. A query needs no
# such bound: its size has one.
MOST_FIELDS = 1000

# Where a request's query stands in its context: each part that looks into it would parse it again,
# and five times were a third of a stream's connect.
_QUERY = "barestream.query"

Form = Mapping[str, list[str]]


class MalformedFormError(ValueError):
    """What should be a form is none; the message says why, fit for who sent it."""


def body(encoded: bytes) -> Form:
    """Return the values of a body by their names, each in the order of the form.

    Raises:
        MalformedFormError: It is not UTF-8, or has too many fields.
    """
    return _parse(encoded, MOST_FIELDS)


def query(request: HttpRequest) -> Form:
    """Return the values of a request's query.

    Raises:
        MalformedFormError: It is not UTF-8.
    """
    form: Form | None = request.context.get(_QUERY)
    if form is None:
        form = request.context[_QUERY] = _parse(request.scope["query_string"], None)
    return form


def _parse(encoded: bytes, most_fields: int | None) -> Form:
    try:
        return parse_qs(
            encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=most_fields
        )
    except UnicodeDecodeError:
        raise MalformedFormError("It is not UTF-8.") from None
    except ValueError:
        raise MalformedFormError(f"It has more than {MOST_FIELDS} fields.") from None

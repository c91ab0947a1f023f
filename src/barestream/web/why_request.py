"""What a question why somebody gets an update, or does not, says."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from bareasgi import HttpRequest

from barestream.delivery.whereabouts import named_place
from barestream.web.form import MOST_FIELDS, fields
from barestream.web.json_body import read_json
from barestream.web.refusals import bad_request
from barestream.web.stream_request import MOST_BODY_BYTES, StreamRequest
from barestream.web.update_fields import check_encodable

# Those of a request for a stream that say what it subscribes to.
_SELECTING = ("topic", "match", "match_exact", "match_urlpattern")

_FIELDS = ("event", "token", *_SELECTING)


class WhyRequest(NamedTuple):
    """A question.

    Attributes:
        event: The id of the update: the hub's, as any client may get it, or its publisher's.
        token: The token of the one who it is about; None for somebody without one.
        stream: What the stream asks for; None if the question does not say it.
    """

    event: str
    token: str | None
    stream: StreamRequest | None

    @classmethod
    async def read(cls, request: HttpRequest) -> "WhyRequest":
        """Read a question.

        Raises:
            Refused: 400, 413 or 415 for a body that is malformed.
        """
        value = await read_json(request, MOST_BODY_BYTES)
        if not isinstance(value, dict) or not value.keys() <= {*_FIELDS}:
            raise bad_request(f"Expected an object with the fields {', '.join(_FIELDS)}.")
        event, token = _text(value, "event"), _text(value, "token")
        if not event:
            raise bad_request("event: expected the id of an update.")
        if event.startswith("#") and named_place(event) is None:
            raise bad_request(
                "event: an id of the hub has the form #milliseconds-sequence, such as "
                "#1795366712345-0."
            )
        return cls(event, token, _stream(value))


def _text(value: Mapping[str, object], name: str) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        raise bad_request(f"{name}: expected a string.")
    if text is not None:
        check_encodable(text, name)
    return text


def _stream(value: Mapping[str, object]) -> StreamRequest | None:
    """Return what the question says of a stream, read as a request for a stream is."""
    pairs = [
        (name, text)
        for name in value
        if name in _SELECTING and value[name] is not None
        for text in _texts(value[name], name)
    ]
    if not pairs:
        return None
    if len(pairs) > MOST_FIELDS:
        raise bad_request(f"A stream has at most {MOST_FIELDS} topics.")
    encoded = urlencode(pairs).encode()
    return StreamRequest.of_form(fields(encoded), encoded)


def _texts(given: object, name: str) -> list[str]:
    texts = []
    for text in given if isinstance(given, list) else [given]:
        if not isinstance(text, str):
            raise bad_request(f"{name}: expected a string, or an array of strings.")
        check_encodable(text, name)
        texts.append(text)
    return texts

"""The body of a request, before it is parsed."""

from http import HTTPStatus

from bareasgi import HttpRequest

from barestream.web.refusals import Refused, too_large
from barestream.web.request_headers import header_value
from barestream.web.whole_body import WholeBody

FORM_TYPE = b"application/x-www-form-urlencoded"
JSON_TYPE = b"application/json"


def body_type(request: HttpRequest) -> bytes:
    """Return the media type of a request's body, in lower case and without its parameters."""
    return header_value(request, b"content-type").partition(b";")[0].strip().lower()


async def read_whole(request: HttpRequest, most_bytes: int) -> bytes:
    """Return a request's body.

    Raises:
        Refused: 413 for a body that is larger than most_bytes.
    """
    # A body whose announced size is too large is refused before it comes. The server has checked
    # the header.
    if int(header_value(request, b"content-length") or 0) > most_bytes:
        raise _larger_than(most_bytes)
    if isinstance(request.body, WholeBody):
        content = request.body.content
        if len(content) > most_bytes:
            raise _larger_than(most_bytes)
        return content
    whole = bytearray()
    async for chunk in request.body:
        whole += chunk
        if len(whole) > most_bytes:
            raise _larger_than(most_bytes)
    return bytes(whole)


def not_of_type(*types: bytes) -> Refused:
    """Return the refusal of a body that has none of these types."""
    expected = " or ".join(each.decode() for each in types)
    return Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Expected the Content-Type {expected}.")


def _larger_than(most_bytes: int) -> Refused:
    return too_large(f"The body is larger than {most_bytes} bytes.")

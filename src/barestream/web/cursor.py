"""The last event id of a request, under each name that clients use for it."""

from bareasgi import HttpRequest

from barestream.delivery.resume import NO_IDS
from barestream.web.form import Form, query
from barestream.web.request_headers import header_value

# The names in the query are those of Mercure's versions, that of event-source-polyfill
# (lastEventId), and that of the header, for pages that cannot send headers.
_HEADER = b"last-event-id"
_OWN = ("lastEventID", "last_event_id", "Last-Event-ID")
_POLYFILL = "lastEventId"


def is_moved_on(request: HttpRequest) -> bool:
    """Return whether a client has come further than the id that the page wrote into the request.

    It has if it came back, and so added another id: in the header, or in the parameter of
    event-source-polyfill.
    """
    form = query(request)
    sent = header_value(request, _HEADER)
    later = [sent.decode(errors="replace")] if sent else form.get(_POLYFILL, [])
    own = {event_id for name in _OWN for event_id in form.get(name, ())}
    return any(event_id not in own for event_id in later if event_id and event_id not in NO_IDS)


def last_event_ids(request: HttpRequest) -> list[str]:
    """Return the ids that the request names, without empty ones.

    The header has precedence, as both versions of Mercure's specification demand: a browser that
    reconnects sends its newest id there, while the query is still that of its first request.
    Without the header, all ids of the query count, because a page's own cursor may stand beside
    that of its library.

    Raises:
        Refused: The query is not a valid form.
    """
    return header_ids(request) or ids_of(query(request))


def header_ids(request: HttpRequest) -> list[str]:
    """Return the id that the header names; none without it."""
    sent = header_value(request, _HEADER)
    return [sent.decode(errors="replace")] if sent else []


def ids_of(form: Form) -> list[str]:
    """Return the ids that a query or a form names, without empty ones."""
    found: list[str] = []
    for spelling in (*_OWN, _POLYFILL):
        if spelling in form:
            found += filter(None, form[spelling])
    return found

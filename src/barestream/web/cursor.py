"""The last event id of a request, under each name that clients use for it."""

from bareasgi import HttpRequest
from bareutils import header

from barestream.web.form import Form, query

# The names in the query are those of Mercure's versions, that of event-source-polyfill
# (lastEventId), and that of the header, for pages that cannot send headers.
_HEADER = b"last-event-id"
_IN_QUERY = ("lastEventID", "lastEventId", "last_event_id", "Last-Event-ID")


def last_event_ids(request: HttpRequest) -> list[str]:
    """Return the ids that the request names, without empty ones.

    The header has precedence, as both versions of Mercure's specification demand: a browser that
    reconnects sends its newest id there, while the query is still that of its first request.
    Without the header, all ids of the query count, because a page's own cursor may stand beside
    that of its library.

    Raises:
        Refused: The query is not a valid form.
    """
    sent = header.find(_HEADER, request.scope["headers"])
    if sent:
        return [sent.decode(errors="replace")]
    return ids_of(query(request))


def ids_of(form: Form) -> list[str]:
    """Return the ids that a query or a form names, without empty ones."""
    found: list[str] = []
    for spelling in _IN_QUERY:
        if spelling in form:
            found += filter(None, form[spelling])
    return found

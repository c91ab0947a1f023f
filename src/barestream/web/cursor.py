"""The last event id that a request names, in each of its spellings."""

from bareasgi import HttpRequest
from bareutils import header

from barestream.web.form import query

# The header's name, and those of the query: the ones of Mercure's versions, event-source-polyfill's
# (lastEventId), and the header's own, for pages that cannot send headers.
_HEADER = b"last-event-id"
_IN_QUERY = ("lastEventID", "lastEventId", "last_event_id", "Last-Event-ID")


def last_event_ids(request: HttpRequest) -> list[str]:
    """Return the ids that the request names, without empty ones.

    The header wins, as both versions of Mercure's specification demand: a browser that comes back
    sends in it what it saw last, to the address of its first request. Without the header, all of
    the query count, since a page's own cursor may stand beside that of its library.

    Raises:
        MalformedFormError: The query is no form.
    """
    sent = header.find(_HEADER, request.scope["headers"])
    if sent:
        return [sent.decode(errors="replace")]
    named = query(request)
    found: list[str] = []
    for spelling in _IN_QUERY:
        if spelling in named:
            found += filter(None, named[spelling])
    return found

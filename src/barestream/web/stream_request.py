"""The parameters of a request for a stream.

Source: https://mercure.rocks/spec#subscription
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Self

from bareasgi import HttpRequest

from barestream.mercure.matchers import EXACT, URL_PATTERN, Matcher
from barestream.mercure.version import Version
from barestream.web.body import FORM_TYPE, body_type, not_of_type, read_whole
from barestream.web.cursor import header_ids, ids_of, last_event_ids
from barestream.web.form import (
    MOST_REMEMBERED,
    MOST_REMEMBERED_BYTES,
    Form,
    add_to_query,
    fields,
    names,
    of_query,
    query,
)
from barestream.web.refusals import Refused, bad_request
from barestream.web.rewind_request import RewindRequest

# The method whose parameters may be in its body (RFC 10008).
QUERY = "QUERY"

# Room for 100 matchers of 2,048 characters. Percent-encoding triples a character, but few matchers
# have many such characters.
MOST_BODY_BYTES = 256 * 1024

_MATCHER_TYPES: Mapping[str, str] = {
    "match": EXACT,
    "match_exact": EXACT,
    "match_urlpattern": URL_PATTERN,
}

# The parameter of each version.
PARAMETERS = {Version.ZERO: "topic", Version.ONE: "match"}

# All names that begin like this, in whatever case, are the protocol's.
_RESERVED = "match"


class StreamRequest(NamedTuple):
    """A request for a stream, read once.

    Attributes:
        topics: The topic selectors of 0.x that it names.
        matchers: The topic matchers of 1.0 that it names, in the order of the request.
        last_event_ids: The ids of the last event that its client saw, from each place where the
            request names one.
        heartbeat_events: Whether heartbeats are to be events (heartbeat=event).
        state: What it asks for of the state of its topics.
        clients: The names that its page gives itself; at most one is in order.
    """

    topics: list[str]
    matchers: list[Matcher]
    last_event_ids: list[str]
    heartbeat_events: bool
    state: RewindRequest
    clients: tuple[str, ...] = ()

    @classmethod
    async def read(cls, request: HttpRequest) -> "StreamRequest":
        """Read a request; the parameters of a QUERY's body count beside those of its query.

        Raises:
            Refused: 400 for parameters that are malformed, 413 for a body that is too large, 415
                for one that is not a form.
        """
        if request.scope["method"] != QUERY:
            encoded = request.scope["query_string"]
            read = _of_query if len(encoded) <= MOST_REMEMBERED_BYTES else _read_query
            asked, ids = read(encoded), header_ids(request)
            return asked._replace(last_event_ids=ids) if ids else asked
        ids = last_event_ids(request)
        encoded = await read_whole(request, MOST_BODY_BYTES)
        # An empty body, of any type, is a form without fields.
        if encoded and body_type(request) != FORM_TYPE:
            raise not_of_type(FORM_TYPE)
        sent = fields(encoded)
        # An id of the query has precedence over one of the body.
        ids = ids or ids_of(sent)
        add_to_query(request, sent)
        both = (request.scope["query_string"], encoded)
        return cls.of_form(query(request), *both)._replace(last_event_ids=ids)

    @classmethod
    def of_form(cls, form: Form, *encoded: bytes) -> "StreamRequest":
        """Return the request of these parameters alone.

        Args:
            form: The parameters.
            encoded: The texts that they were read from, in this order.

        Raises:
            Refused: As with ``read``.
        """
        topics, matchers = form.get("topic", []), _matchers(form, encoded)
        state = RewindRequest.read(form, topics or [matcher.match for matcher in matchers])
        heartbeat_events, clients = wants_heartbeat_events(form), tuple(form.get("client", ()))
        return cls(topics, matchers, ids_of(form), heartbeat_events, state, clients)

    def only(self, *, new: bool) -> Self:
        """Return the request with the topics that are new to its client alone, or the others."""
        return self._replace(
            topics=[each for each in self.topics if (each in self.state.new) is new],
            matchers=[each for each in self.matchers if (each.match in self.state.new) is new],
        )

    @property
    def numbered(self) -> Sequence[Matcher]:
        """Its topics, of either version, in the order of the request."""
        return self.matchers or [Matcher(topic) for topic in self.topics]

    @property
    def version(self) -> Version | None:
        """The version that its parameters speak; None if it names nothing to subscribe to.

        Raises:
            Refused: 400 for parameters of both versions.
        """
        if self.topics and self.matchers:
            raise bad_request(
                "The request has both topic, a parameter of Mercure 0.x, and match, one of 1.0; "
                "use those of one version."
            )
        if self.matchers:
            return Version.ONE
        return Version.ZERO if self.topics else None


def switched_off(version: Version) -> Refused:
    """Return the refusal of a request with parameters of a version that the hub does not speak."""
    return bad_request(
        f"{PARAMETERS[version]} is a parameter of Mercure {version.value}, which is off: "
        "see BARESTREAM_PROTOCOLS."
    )


def wants_heartbeat_events(form: Form) -> bool:
    """Return whether heartbeats are to be events."""
    return form.get("heartbeat") == ["event"]


def _matchers(form: Form, encoded: Iterable[bytes]) -> list[Matcher]:
    left: dict[str, Iterator[Matcher]] = {}
    for name, values in form.items():
        match_type = _MATCHER_TYPES.get(name)
        if match_type is not None:
            left[name] = iter([Matcher(value, match_type) for value in values])
        elif name[: len(_RESERVED)].lower() == _RESERVED:
            raise bad_request(
                f"{name[:100]!r} is not a parameter: names that begin with match are reserved, and "
                f"these exist: {', '.join(_MATCHER_TYPES)}."
            )
    if len(left) < 2:
        return [matcher for each in left.values() for matcher in each]
    # A form has the values of each name in order, but not those of several names.
    order = (name for text in encoded for name in names(text))
    return [next(left[name]) for name in order if name in left]


def _read_query(encoded: bytes) -> StreamRequest:
    return StreamRequest.of_form(of_query(encoded), encoded)


# Reading a query took a tenth of a connect.
_of_query = lru_cache(MOST_REMEMBERED)(_read_query)

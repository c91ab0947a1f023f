"""Any event that may be published arrives unchanged, by every parser."""

import http.client
import json
import re
from contextlib import closing
from urllib.parse import urlencode

from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from barestream.mercure.sse import Event, encode
from barestream.mercure.topics import unseen_character
from examples import share
from exchange import ANSWER_SECONDS, HISTORY_EVENTS, Watched
from parsers import PARSERS, Parsed, by_the_standard
from support.clients.publisher import PATH, token

# All that UTF-8 can carry but NUL, which has no form on the wire; and more often what a parser
# might trip over.
SPECIAL = "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029\ufeff: \tidatevnrtry0#é☃\U0001f600"
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from(
    SPECIAL
)

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
IDS = st.builds(
    lambda first, rest: (first + rest).rstrip(),
    VISIBLE,
    st.text(PRINTABLE, max_size=254),
).filter(lambda text: not text.startswith("#") and text != "earliest")
TYPES = st.text(
    CHARACTERS.filter(lambda character: unseen_character(character) is None),
    min_size=1,
    max_size=255,
).filter(lambda text: not text.startswith("barestream.") and text != "mercure")

EVENTS = st.builds(
    Event,
    st.text(CHARACTERS, max_size=300) | st.text(st.sampled_from("\r\n a:"), max_size=40),
    st.none() | IDS,
    st.none() | TYPES,
    st.none() | st.integers(1, 86_400_000),
)
LISTS = st.lists(
    EVENTS,
    min_size=1,
    max_size=HISTORY_EVENTS,
    unique_by=lambda event: object() if event.id is None else event.id,
)

TOKEN = token()


def lines(text: str) -> str:
    """Return the text with the line ends that arrive."""
    return re.sub("\r\n|\r", "\n", text)


def expected(event: Event, event_id: str | None) -> Parsed:
    return Parsed(event_id, event.type or "message", lines(event.data), event.retry_ms)


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def assert_alike(body: bytes, size: int, events: list[Parsed]) -> None:
    for parse in PARSERS:
        assert parse(cut(body, size)) == events, parse.__name__


@share(0.15)
@given(LISTS, st.integers(1, 100))
def test_any_event_survives_its_encoding(events: list[Event], size: int) -> None:
    # An event without its own id has that of its place: some parsers cannot report a missing id.
    named = [
        Event(event.data, event.id or f"#1-{number}", event.type, event.retry_ms)
        for number, event in enumerate(events)
    ]
    body = b"".join(map(encode, named))
    assert_alike(body, size, [expected(event, event.id) for event in named])


def fields(event: Event) -> dict[str, str | int]:
    """Return the fields of an update with the event."""
    found = {
        "topic": "fuzz",
        "data": event.data,
        "id": event.id,
        "type": event.type,
        "retry": event.retry_ms,
    }
    return {name: value for name, value in found.items() if value is not None}


def publish(connection: http.client.HTTPConnection, body: str, kind: str) -> str:
    """Publish, and return the answer."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
    connection.request("POST", PATH, body.encode(), headers)
    with connection.getresponse() as answer:
        text = answer.read().decode()
    assert answer.status == 200, text
    return text


def publish_form(connection: http.client.HTTPConnection, event: Event) -> str:
    """Publish an event, and return its id."""
    return publish(connection, urlencode(fields(event)), "application/x-www-form-urlencoded")


def publish_json(connection: http.client.HTTPConnection, events: list[Event]) -> list[str]:
    """Publish events together, and return their ids."""
    sent = json.dumps([fields(event) for event in events], ensure_ascii=len(events) % 2 == 0)
    found = json.loads(publish(connection, sent, "application/json"))
    ids: list[str] = found["ids"]
    return ids


def follow(connection: http.client.HTTPConnection, seen: str | None) -> http.client.HTTPResponse:
    headers = {} if seen is None else {"Last-Event-ID": seen}
    connection.request("GET", f"{PATH}?topic=fuzz", headers=headers)
    stream = connection.getresponse()
    assert stream.status == 200
    # The delay by which each stream begins is not that of its first event.
    opening = b""
    while not opening.endswith(b"\n"):
        opening += stream.read(1)
    return stream


def read_events(stream: http.client.HTTPResponse, count: int) -> bytes:
    """Read to the end of so many events."""
    body = b""
    while len(by_the_standard([body])) < count:
        body += stream.read1(65536)
    return body


def connect(server: Watched) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(*server.address, timeout=ANSWER_SECONDS)


@share(0.25)
@given(events=LISTS, size=st.integers(1, 100), live=st.booleans(), as_json=st.booleans())
def test_any_event_arrives_unchanged_from_its_publisher_to_its_readers(
    server: Watched, events: list[Event], size: int, *, live: bool, as_json: bool
) -> None:
    note("live" if live else "replayed")
    note("JSON" if as_json else "forms")
    with closing(connect(server)) as publisher, closing(connect(server)) as reader:
        for _ in range(HISTORY_EVENTS):
            before = publish_form(publisher, Event())
        if live:
            stream = follow(reader, None)
        if as_json:
            ids = publish_json(publisher, events)
        else:
            ids = [publish_form(publisher, event) for event in events]
        if not live:
            stream = follow(reader, before)
        with stream:
            body = read_events(stream, len(events))
    for event, event_id in zip(events, ids, strict=True):
        assert event_id == event.id or event.id is None
    assert_alike(body, size, list(map(expected, events, ids)))
    server.assert_well()

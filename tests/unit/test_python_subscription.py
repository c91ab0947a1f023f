"""The subscription of the client for Python, by its steps."""

from collections.abc import Iterator
from typing import Any

import pytest

from barestream_client import (
    AddressError,
    AwayError,
    Event,
    Gap,
    HubError,
    Ready,
    RefusedError,
    UnauthorizedError,
)
from barestream_client.answers import Answer
from barestream_client.following import Progress, Topics, following
from barestream_client.retries import Retries
from barestream_client.steps import Bearer, Close, Open, Read, Request, Wait

URL = "http://hub.test/.well-known/mercure"
STREAM = Answer("GET /", 200, {"content-type": "text/event-stream"})


class World:
    """Takes the steps of a subscription.

    Args:
        outcomes: What comes: an answer for each connection, then its bytes, an empty text at its
            end; or an error in place of either.
        cursor: Where the subscription begins.
        tokens: The tokens that are given, one after the other; the last one again and again.
        patience_seconds: How long the hub may be away.

    Attributes:
        waits: How long it has waited, each time.
        requests: What was asked.
        cursor: How far it has come.
    """

    def __init__(
        self,
        *outcomes: Answer | bytes | HubError,
        cursor: str | None = None,
        tokens: tuple[str | None, ...] = (None,),
        patience_seconds: float | None = None,
        topics: Topics = Topics(("/a",)),  # noqa: B008 (it cannot be changed)
    ) -> None:
        self.waits: list[float] = []
        self.requests: list[Request] = []
        self._outcomes = iter(outcomes)
        self._tokens = [*tokens]
        self._progress = Progress(cursor)
        retries = Retries(
            patience_seconds, lambda: sum(self.waits), lambda _, most: most, lambda *_: None
        )
        self._steps = following(URL, topics, self._progress, retries)

    @property
    def cursor(self) -> str | None:
        return self._progress.cursor

    def events(self) -> Iterator[Event]:
        """Yield the events, until the subscription ends or there are no outcomes any more."""
        outcome: Any = None
        error: HubError | None = None
        while True:
            try:
                step = self._steps.throw(error) if error else self._steps.send(outcome)
            except StopIteration:
                return
            outcome = error = None
            match step:
                case Event():
                    yield step
                case Bearer():
                    outcome = self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]
                case Wait(seconds):
                    self.waits.append(seconds)
                case Close():
                    pass
                case Open() | Read():
                    if isinstance(step, Open):
                        self.requests.append(step.request)
                    came = next(self._outcomes, None)
                    if came is None:
                        return
                    outcome, error = (None, came) if isinstance(came, HubError) else (came, None)


def data(world: World) -> list[str]:
    return [event.data for event in world.events()]


def test_it_goes_on_after_a_cut_from_its_last_event() -> None:
    world = World(
        *(STREAM, b"retry: 700\n\ndata: a\nid: #1-0\n\ndata: b\nid: #2", b"-0\n\n"),
        AwayError("cut"),
        *(STREAM, b"data: c\nid: #3-0\n\n", b"", Answer("GET /", 204, {})),
    )
    assert data(world) == ["a", "b", "c"]
    # The hub's own delay is the least that it waits, and what it waits after a proper end.
    assert world.waits == [0.7, 2.0]
    assert [each.headers.get("Last-Event-ID") for each in world.requests] == [
        *(None, "#2-0", "#3-0")
    ]


def test_half_an_event_before_a_cut_is_none() -> None:
    world = World(STREAM, b"data: a\nid: #1-0\n\ndata: b\nid: #2-0\n", AwayError("cut"), STREAM)
    assert (data(world), world.cursor) == (["a"], "#1-0")


def test_a_heartbeat_moves_the_cursor_of_a_quiet_topic_and_is_not_told() -> None:
    world = World(STREAM, b"event: barestream.heartbeat\ndata: {}\nid: #9-0\n\n:\n:\n")
    assert (data(world), world.cursor) == ([], "#9-0")


def test_gaps_are_told_and_only_the_first_stream_says_that_all_is_there() -> None:
    ready = b'event: barestream.ready\ndata: {"empty": ["/a"]}\n\n'
    gap = b'event: barestream.gap\ndata: {"from": "#1-0", "to": "#5-0", "missed": null}\n\n'
    world = World(STREAM, ready, b"", STREAM, gap, ready)
    first, second = world.events()
    assert isinstance(first, Ready)
    assert first.empty == ["/a"]
    assert isinstance(second, Gap)
    assert (second.missing_from, second.missing_to) == ("#1-0", "#5-0")


@pytest.mark.parametrize(
    ("place", "topic", "own_id", "is_end"),
    [
        ("#5-0;%2Fa%3Bb", "/a;b", None, False),
        ("#5-0;news;urn%3Aid", "news", "urn:id", False),
        ("#5-0;news;;0.3", "news", None, False),
        ("#5-0;news;8f;0.3;end", "news", "8f", True),
        ("#0-0~5-0;news", "news", None, False),
        ("#9-0=5-0;news", "news", None, False),
        ("#5-0", None, None, False),
    ],
)
def test_an_id_says_the_topic_the_own_id_and_the_end(
    place: str, topic: str | None, own_id: str | None, is_end: bool
) -> None:
    [event] = World(STREAM, f"data: a\nid: {place}\n\n".encode()).events()
    assert (event.topic, event.own_id, event.is_end) == (topic, own_id, is_end)
    assert event.published_at is not None
    assert event.published_at.timestamp() == 0.005


def test_the_id_of_another_hub_is_the_publishers() -> None:
    [event] = World(STREAM, b"data: a\nid: urn:uuid:1\n\n").events()
    assert (event.own_id, event.topic, event.published_at) == ("urn:uuid:1", None, None)


def test_a_stream_that_is_turned_away_waits_and_has_a_patience() -> None:
    away = STREAM._replace(headers={**STREAM.headers, "barestream-turned-away": "draining"})
    world = World(*(away, b"retry: 900\n\n", b"") * 20, patience_seconds=3)
    with pytest.raises(AwayError, match="turns the stream away: draining"):
        data(world)
    assert sum(world.waits) == pytest.approx(3)


def test_a_hub_that_is_away_is_asked_for_as_long_as_the_patience_lasts() -> None:
    world = World(*[AwayError("refused")] * 20, patience_seconds=3)
    with pytest.raises(AwayError, match="refused"):
        data(world)
    assert world.waits == pytest.approx([0.2, 0.4, 0.8, 1.6])


def test_the_patience_begins_anew_with_each_stream() -> None:
    once = (AwayError("refused"), AwayError("refused"), STREAM, b":\n", b"")
    world = World(*once * 20, Answer("GET /", 204, {}), patience_seconds=3)
    assert data(world) == []
    assert sum(world.waits) > 3


def test_a_network_that_is_gone_for_a_while_is_no_wrong_url() -> None:
    unknown = AddressError("this machine finds no host of that name")
    world = World(STREAM, b"data: a\nid: #1-0\n\n", unknown, unknown, STREAM, b"data: b\n\n")
    assert data(world) == ["a", "b"]
    with pytest.raises(AddressError):
        data(World(unknown))


def test_a_token_that_has_ended_is_asked_for_again_once() -> None:
    refused = Answer("GET /", 401, {})
    world = World(refused, STREAM, b"data: a\n\n", tokens=("old", "new"))
    assert data(world) == ["a"]
    assert [each.headers["Authorization"] for each in world.requests] == [
        *("Bearer old", "Bearer new")
    ]
    with pytest.raises(UnauthorizedError):
        data(World(refused, refused, tokens=("old",)))
    with pytest.raises(UnauthorizedError):
        data(World(refused))


def test_a_refusal_ends_it() -> None:
    with pytest.raises(RefusedError):
        data(World(Answer("GET /", 400, {})))
    with pytest.raises(AddressError, match="text/html"):
        data(World(Answer("GET /", 200, {"content-type": "text/html"})))


def asked(topics: Topics, cursor: str | None, token: str | None = None) -> list[tuple[str, str]]:
    return [*topics.request(URL, cursor, token).params]


def test_the_parameters_are_those_of_the_tokens_version() -> None:
    one = "eyJ0eXAiOiAiYXQrand0In0.e30.x"
    always = [("include", "match"), ("heartbeat", "event")]
    assert asked(Topics(("/a", "*")), None) == [("topic", "/a"), ("topic", "*"), *always]
    assert asked(Topics(("/a",)), None, one) == [("match", "/a"), *always]
    patterns = Topics(("/a",), ("/b/:c",))
    assert asked(patterns, None) == [("match", "/a"), ("match_urlpattern", "/b/:c"), *always]
    whole = Topics(("/a",), (), "kept", is_ready_told=True)
    assert asked(whole, "earliest", one)[1:] == [
        *(("include", "match,ready"), ("heartbeat", "event"), ("rewind", "kept")),
        ("last_event_id", "earliest"),
    ]

import json
from contextlib import ExitStack

import pytest

from barestream.delivery.cursor import Cursor, Label, Named
from barestream.delivery.feed import Feed
from barestream.delivery.named import named
from barestream.delivery.numbering import Numbering
from barestream.delivery.ready import Ready
from barestream.delivery.subscription import Subscription
from barestream.history.gap import lost
from barestream.history.record import BEGIN, Place, Record
from barestream.history.ring import Ring
from barestream.history.update import Update
from barestream.mercure.matchers import Matcher
from barestream.mercure.selectors import Selectors
from barestream.mercure.sse import Event, decode
from barestream.telemetry.metrics import Metrics
from fake_writer import FakeClock, FakeWriter, fake_stream, flush

AT = Place(7, 1)


def subscription(*topics: str, names_topics: bool = True) -> Subscription:
    return Subscription(Selectors(topics), Selectors(()), names_topics)


def sent(record: Record, *topics: str, cursor: Cursor | None = None, **of: bool) -> Event:
    label = subscription(*topics, **of).label(record, is_end=False)
    [event] = decode(named(record, label, cursor))
    return event


def test_the_id_has_the_first_topic_that_the_client_asked_for_and_no_other() -> None:
    record = Update(("secret/7", "b", "a"), Event("x")).at(AT)
    assert sent(record, "a", "b").id == "#7-1;b"
    assert sent(record, "a").id == "#7-1;a"
    assert sent(record, "{any}").id == "#7-1;b"
    assert sent(record, "secret/{n}").id == "#7-1;secret%2F7"
    assert sent(record, "*").id == "#7-1;secret%2F7"


@pytest.mark.parametrize(
    "topic", ["a\nid: #9-9", "a\r\n\r\ndata: x", "a;b", "\0", "é\u2028", "%41", " "]
)
def test_no_topic_breaks_the_line_of_the_id(topic: str) -> None:
    event = sent(Update((topic,), Event("x")).at(AT), topic)
    assert Named.parse(event.id or "") == (Cursor(AT), AT, Label(topic), None)
    assert event.data == "x"


def test_only_the_id_of_an_event_changes() -> None:
    whole = Event("1\nid: #1-1\n\nid: 2", "own;1", "greeting", 1500)
    event = sent(Update(("a",), whole).at(AT), "a")
    assert event == Event(whole.data, "#7-1;a;own%3B1", "greeting", 1500)


def test_in_a_rewind_the_id_is_a_cursor_also_where_no_topic_was_asked_for() -> None:
    record = Update(("a",), Event("x", "own")).at(AT)
    in_rewind, at_its_end = Cursor(BEGIN, in_rewind=True), Cursor(Place(9, 0))
    assert sent(record, "a", cursor=in_rewind).id == "#0-0~7-1;a;own"
    assert sent(record, "a", cursor=at_its_end).id == "#9-0=7-1;a;own"
    assert sent(record, "a", cursor=in_rewind, names_topics=False).id == "#0-0~"
    assert sent(record, "a", cursor=at_its_end, names_topics=False).id == "#9-0"


def test_a_gap_of_everybody_has_no_topic() -> None:
    assert sent(lost(AT), "a").id == "#7-1"


def asking_for_matches(*topics: str) -> Subscription:
    selectors = Selectors(topics)
    numbering = Numbering([Matcher(topic) for topic in topics], selectors)
    return Subscription(selectors, Selectors(()), names_topics=True, numbering=numbering)


def matched(record: Record, *topics: str, is_end: bool = False) -> Event:
    label = asking_for_matches(*topics).label(record, is_end=is_end)
    [event] = decode(named(record, label))
    return event


def test_the_id_has_the_numbers_of_the_topics_that_matched_and_no_other_topic() -> None:
    record = Update(("secret/7", "b", "a"), Event("x")).at(AT)
    assert matched(record, "a", "c", "b").id == "#7-1;b;;0.2"
    assert matched(record, "c", "a").id == "#7-1;a;;1"
    assert matched(record, "x", "secret/{n}", "*", "a").id == "#7-1;secret%2F7;;1.2.3"
    own = Update(("a",), Event("x", "own;1")).at(AT)
    assert matched(own, "a").id == "#7-1;a;own%3B1;0"
    assert matched(lost(AT), "a").id == "#7-1"


def test_the_last_update_of_a_topic_has_a_mark_where_the_request_names_the_topic_exactly() -> None:
    record = Update(("run", "b"), Event("x"), end_seconds=60).at(AT)
    assert matched(record, "run", is_end=True).id == "#7-1;run;;0;end"
    assert matched(record, "{any}", "run", is_end=True).id == "#7-1;run;;0.1;end"
    for others in (["b"], ["*"], ["{any}", "b"]):
        assert not (matched(record, *others, is_end=True).id or "").endswith("end")
    # A client that asked for the topic alone gets no mark.
    [event] = decode(named(record, subscription("run").label(record, is_end=True)))
    assert event.id == "#7-1;run"


def test_live_streams_get_their_own_numbers_and_share_bytes_where_these_are_equal() -> None:
    feed = Feed(Ring(10, Place(1, 0)), Metrics(), FakeClock(2.0))
    writers: dict[str, list[FakeWriter]] = {}
    with ExitStack() as stack:
        for wish in ("a", "b a", "a", "{any} a", "* a", "{any} a", ""):
            topics = wish.split() or ["a"]
            stream, writer = fake_stream()
            wanted = asking_for_matches(*topics) if wish else subscription(*topics)
            stack.enter_context(feed.follow(stream, None, wanted))
            writers.setdefault(wish, []).append(writer)
        feed.append(Update(("x", "a"), Event("1")).at(AT))
        feed.append(Update(("a",), Event("2"), end_seconds=60).at(Place(8, 0)))
        flush(feed)
    ids = {
        wish: [[event.id for event in decode(writer.body)] for writer in of_wish]
        for wish, of_wish in writers.items()
    }
    assert ids == {
        "a": [["#7-1;a;;0", "#8-0;a;;0;end"]] * 2,
        "b a": [["#7-1;a;;1", "#8-0;a;;1;end"]],
        "{any} a": [["#7-1;x;;0.1", "#8-0;a;;0.1;end"]] * 2,
        "* a": [["#7-1;x;;0.1", "#8-0;a;;0.1;end"]],
        "": [["#7-1;a", "#8-0;a"]],
    }
    [shared] = {id(writer.last) for wish in ("{any} a", "* a") for writer in writers[wish]}
    assert shared not in {id(writer.last) for writer in writers["a"]}


def test_a_topic_that_has_begun_anew_has_no_mark_at_its_end_before() -> None:
    feed = Feed(Ring(10, Place(1, 0)), Metrics(), FakeClock(2.0))
    end = Update(("a",), Event("1"), end_seconds=60).at(AT)
    # Only the history has it: this worker has not read it yet.
    assert feed.is_end(end)
    feed.append(end)
    flush(feed)
    assert feed.is_end(end)
    feed.append(Update(("a",), Event("2")).at(Place(8, 0)))
    flush(feed)
    assert not feed.is_end(end)
    stream, writer = fake_stream()
    with feed.follow(stream, Place(1, 0), asking_for_matches("a")):
        assert [event.id for event in decode(writer.body)] == ["#7-1;a;;0", "#8-0;a;;0"]


def empty_after(topics: list[str], *records: Record) -> list[str]:
    ready = Ready(topics)
    for record in records:
        ready.saw(record)
    [event] = decode(ready.frame(Place(9, 0)).body)
    assert (event.id, event.type) == ("#9-0", "barestream.ready")
    [(name, empty)] = json.loads(event.data).items()
    assert name == "empty"
    return list(empty)


def test_the_end_of_a_replay_says_which_topics_had_nothing() -> None:
    of_several = Update(("x", "b", "d"), Event("1")).at(AT)
    assert empty_after([]) == []
    assert empty_after(["c", "b", "a", "d"]) == ["c", "b", "a", "d"]
    assert empty_after(["c", "b", "a", "d"], of_several, of_several) == ["c", "a"]
    assert empty_after(["b"], of_several) == []


def test_topics_of_any_text_are_said_in_one_line() -> None:
    odd = ["a\nb", "\u2028", "é", '"', "\0"]
    assert empty_after(odd) == odd

import json

import pytest

from barestream.delivery.cursor import Cursor, Named
from barestream.delivery.named import named
from barestream.delivery.ready import Ready
from barestream.delivery.subscription import Subscription
from barestream.history.gap import lost
from barestream.history.record import BEGIN, Place, Record
from barestream.history.update import Update
from barestream.mercure.selectors import Selectors
from barestream.mercure.sse import Event, decode

AT = Place(7, 1)


def subscription(*topics: str, names_topics: bool = True) -> Subscription:
    return Subscription(Selectors(topics), Selectors(()), names_topics)


def sent(record: Record, *topics: str, cursor: Cursor | None = None, **of: bool) -> Event:
    [event] = decode(named(record, subscription(*topics, **of), cursor))
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
    assert Named.parse(event.id or "") == (Cursor(AT), AT, topic, None)
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

import asyncio
from collections.abc import Callable

import pytest

from barestream.delivery.cursor import Cursor
from barestream.delivery.heartbeat import heartbeat_event
from barestream.delivery.named import named
from barestream.delivery.ready import Ready
from barestream.delivery.subscription import Subscription
from barestream.history.gap import gap, lost
from barestream.history.record import BEGIN, Place
from barestream.history.update import Update
from barestream.mercure.selectors import Selectors
from barestream.mercure.sse import HEARTBEAT, Event, Frame, encode, frame, retry
from barestream.web.page_writer import MOST_BYTES, PageWriter
from rewinds import settle

WHOLE = Subscription(Selectors(["a"]), Selectors(()), names_topics=True)
BEFORE = Cursor(BEGIN, in_rewind=True)


def at(ms: int) -> Place:
    return Place(ms, 0)


def body(number: int, data: str = "", cursor: Cursor | None = None, **fields: str) -> bytes:
    update = Update(("a",), Event(data or str(number), **fields))  # type: ignore[arg-type]
    record = update.at(at(number))
    return named(record, WHOLE.label(record, is_end=False), cursor)


def events(*numbers: int, cursor: Cursor | None = None) -> Frame:
    return frame(b"".join(body(number, cursor=cursor) for number in numbers))


def ready(ms: int) -> Frame:
    return Ready(()).frame(at(ms))


def data_of(writer: PageWriter) -> list[object]:
    return [event["data"] for event in writer.events()]


def test_an_event_has_its_parts() -> None:
    writer = PageWriter(10)
    whole = Update(("x", "a"), Event("1\n2", "own", "greeting", 1500)).at(at(7))
    writer.write(frame(named(whole, WHOLE.label(whole, is_end=False)) + body(8)))
    assert writer.events() == [
        {
            "id": "own",
            "place": "#7-0",
            "topic": "a",
            "type": "greeting",
            "data": "1\n2",
            "retry": 1500,
        },
        {"id": "#8-0", "place": "#8-0", "topic": "a", "type": "message", "data": "8"},
    ]
    assert writer.cursor == "#8-0"


def test_an_event_has_its_matches_and_its_end_if_its_id_has() -> None:
    writer = PageWriter(10)
    ids = ("#7-0;a;own;0.3", "#8-0;a;;3;end")
    writer.write(frame(b"".join(encode(Event("x", event_id)) for event_id in ids)))
    common = {"topic": "a", "type": "message", "data": "x"}
    assert writer.events() == [
        {"id": "own", "place": "#7-0", **common, "matches": (0, 3)},
        {"id": "#8-0", "place": "#8-0", **common, "matches": (3,), "end": True},
    ]
    assert writer.cursor == "#8-0"


def test_an_event_of_a_rewind_has_its_own_place() -> None:
    writer = PageWriter(10)
    writer.write(frame(body(3, cursor=BEFORE)))
    writer.write(frame(body(4, cursor=Cursor(at(9)), id="own")))
    assert [(each["place"], each["id"]) for each in writer.events()] == [
        ("#3-0", "#3-0"),
        ("#4-0", "own"),
    ]
    assert writer.cursor == "#9-0"


def test_what_is_no_event_of_a_topic_is_not_among_the_events() -> None:
    writer = PageWriter(10)
    for each in (HEARTBEAT, retry(1000), heartbeat_event("#99-0"), ready(9)):
        assert writer.write(each)
    assert writer.events() == []
    assert writer.gap is None
    assert writer.cursor == "#9-0"


@pytest.mark.parametrize(
    ("told", "data"),
    [
        (encode(gap("#1-0", at(5), 3, Cursor(at(4)))), {"from": "#1-0", "to": "#5-0", "missed": 3}),
        (lost(at(4)).body, {"from": None, "to": "#4-0", "missed": None}),
    ],
)
def test_a_gap_stands_beside_the_events(told: bytes, data: object) -> None:
    writer = PageWriter(10)
    writer.write(frame(told))
    assert (writer.gap, writer.cursor, writer.events()) == (data, "#4-0", [])


def test_as_many_events_as_the_answer_may_have_are_taken_and_the_rest_is_left() -> None:
    writer = PageWriter(3)
    writer.write(events(1, 2))
    assert not writer.paused
    writer.write(events(3, 4, 5))
    assert writer.paused
    assert writer.has_more
    writer.write(frame(encode(gap("#5-0", at(9)))))
    writer.write(ready(9))
    assert data_of(writer) == ["1", "2", "3"]
    assert (writer.cursor, writer.gap, writer.is_replayed) == ("#3-0", None, False)


def test_the_size_of_an_answer_is_bounded_but_for_its_last_event() -> None:
    writer = PageWriter(1000)
    for number in range(1, 4):
        writer.write(frame(body(number, "x" * (MOST_BYTES // 2))))
    assert len(writer.events()) == 2
    assert writer.has_more
    assert writer.cursor == "#2-0"
    large = PageWriter(1000)
    large.write(frame(body(1, "x" * (2 * MOST_BYTES))))
    assert len(large.events()) == 1
    assert large.has_more


def test_of_a_rewind_that_is_too_large_the_newest_are_kept() -> None:
    for most, kept in ((1, ["5"]), (3, ["3", "4", "5"]), (5, ["1", "2", "3", "4", "5"])):
        writer = PageWriter(most)
        for number in range(1, 5):
            writer.write(events(number, cursor=BEFORE))
            assert not writer.paused
        writer.write(events(5, cursor=Cursor(at(9))))
        assert data_of(writer) == kept
        assert writer.is_cut is (most < 5)
        assert writer.cursor == "#9-0"


def test_the_size_of_a_rewind_is_bounded_too() -> None:
    writer = PageWriter(1000)
    for number in range(1, 9):
        writer.write(frame(body(number, "x" * (MOST_BYTES // 2), BEFORE)))
    writer.write(frame(body(9, "x", Cursor(at(9)))))
    assert [each["place"] for each in writer.events()] == ["#8-0", "#9-0"]
    assert writer.is_cut
    assert not writer.paused


def test_what_follows_a_cursor_beside_a_rewind_is_left_for_a_later_answer() -> None:
    writer = PageWriter(3)
    for number in range(1, 5):
        writer.write(events(number, cursor=Cursor(at(number), in_rewind=True)))
    assert data_of(writer) == ["1", "2", "3"]
    assert writer.paused
    assert not writer.is_cut
    # The client goes on from there, and gets the rewind after the rest.
    assert writer.cursor == "#3-0~"


def test_a_rewind_that_does_not_fit_beside_what_came_before_is_left_for_a_later_answer() -> None:
    writer = PageWriter(4)
    for number in (6, 7):
        writer.write(events(number, cursor=Cursor(at(number), in_rewind=True)))
    for number in (1, 2, 3):
        writer.write(events(number, cursor=Cursor(at(8), in_rewind=True)))
    writer.write(events(4, cursor=Cursor(at(8))))
    assert data_of(writer) == ["6", "7"]
    assert writer.has_more
    assert not writer.is_cut
    assert writer.cursor == "#8-0~"


def test_a_rewind_that_fits_beside_what_came_before_is_taken() -> None:
    writer = PageWriter(4)
    for number in (6, 7):
        writer.write(events(number, cursor=Cursor(at(number), in_rewind=True)))
    writer.write(events(1, cursor=Cursor(at(8), in_rewind=True)))
    writer.write(events(2, cursor=Cursor(at(8))))
    assert data_of(writer) == ["6", "7", "1", "2"]
    assert writer.cursor == "#8-0"


def test_live_events_follow_a_rewind_until_the_answer_is_full() -> None:
    writer = PageWriter(3)
    writer.write(events(1, cursor=BEFORE))
    writer.write(events(2, cursor=Cursor(at(5))))
    assert not writer.paused
    writer.write(events(6, 7))
    assert data_of(writer) == ["1", "2", "6"]
    assert writer.paused
    assert not writer.is_cut


def test_nothing_is_taken_once_it_is_closed() -> None:
    for end in (PageWriter.close, PageWriter.abort):
        writer = PageWriter(3)
        writer.write(events(1))
        end(writer)
        assert not writer.write(events(2))
        assert data_of(writer) == ["1"]


def waits(wait: str, *frames: Frame, close: bool = False, most: int = 2) -> list[bool]:
    """Return whether the wait was over before the frames, and after each of them."""

    async def main() -> list[bool]:
        writer = PageWriter(most)
        waiting = asyncio.create_task(getattr(writer, wait)())
        over = []
        acts: list[Callable[[], object]] = [lambda each=each: writer.write(each) for each in frames]
        for act in (lambda: None, *acts, *([writer.close] if close else [])):
            act()
            await settle()
            over.append(waiting.done())
        waiting.cancel()
        await asyncio.wait([waiting])
        return over

    return asyncio.run(main())


def test_a_read_waits_until_everything_up_to_the_request_has_come() -> None:
    assert waits("replayed", events(1), HEARTBEAT, ready(5)) == [False, False, False, True]
    assert waits("replayed", events(1), events(2)) == [False, False, True]
    assert waits("replayed", close=True) == [False, True]


def test_a_read_waits_for_an_event_or_a_gap() -> None:
    assert waits("some", HEARTBEAT, ready(5), events(1)) == [False, False, False, True]
    assert waits("some", heartbeat_event("#1-0"), frame(lost(at(3)).body)) == [False, False, True]
    assert waits("some", close=True) == [False, True]

import socket
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barestream.mercure.sse import HEARTBEAT, Event, encode, frame, retry
from barestream_load.body import Body, Head, InvalidResponseError
from barestream_load.events import Reader
from barestream_load.stamp import Stamp
from barestream_load.stamp import encode as stamped
from barestream_load.stream import RefusedError, Stream

CHUNKED = Head(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked")
LAST_CHUNK = b"0\r\n\r\n"


@pytest.fixture
def stream() -> Iterator[Stream]:
    with closing(socket.socket()) as connection:
        yield Stream(connection, 0)


def ids(stream: Stream, body: Body, pieces: Iterable[bytes], reader: Reader) -> list[bytes | None]:
    return [event.id for piece in pieces for event in stream.read(body, piece, reader)]


def pieces(wire: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = sorted({cut % len(wire) for cut in cuts} | {0, len(wire)})
    return [wire[start:stop] for start, stop in pairwise(places)]


@given(st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from(["\n", "\r", "\r\n"]))
def test_wherever_the_bytes_are_cut_the_events_are_the_same(cuts: list[int], end: str) -> None:
    bodies = [encode(Event("x" * 30, id=str(number))) for number in range(5)]
    frames = [retry(10), *map(frame, bodies), HEARTBEAT, frame(bodies[4] + bodies[4])]
    line_end = end.encode()
    wire = b"".join(frame(each.body.replace(b"\n", line_end)).chunk for each in frames)
    # One reader serves many streams, so it has read the same bytes before.
    reader = Reader()
    for _ in range(2):
        with closing(socket.socket()) as connection:
            body, stream = Body(CHUNKED), Stream(connection, 0)
            found = ids(stream, body, pieces(wire + LAST_CHUNK, cuts), reader)
        expected = [b"0", b"1", b"2", b"3", b"4", b"4", b"4"]
        # A CR at the very end may be half of a CRLF: its event waits for what comes next.
        assert found == expected or (end == "\r" and found == expected[:-1])
        assert body.is_over


def test_an_event_is_read_before_its_chunk_is_whole(stream: Stream) -> None:
    whole = encode(Event("a", id="1")) + encode(Event("b", id="2"))
    begun = frame(whole).chunk[: -len(encode(Event("b", id="2")))]
    assert ids(stream, Body(CHUNKED), [begun], Reader()) == [b"1"]


def test_a_block_that_dispatches_nothing_is_no_event(stream: Stream) -> None:
    wire = frame(b":\n\nid: 7\n\nretry: 1\n\nevent: x\n\n").chunk
    assert ids(stream, Body(CHUNKED), [wire], Reader()) == []


def test_a_stamp_in_the_data_is_found(stream: Stream) -> None:
    stamp = Stamp(b"01234567", 1, 2, 3)
    wire = frame(encode(Event(stamped(stamp, 130).decode(), id="#1-0"))).chunk
    [event] = stream.read(Body(CHUNKED), wire, Reader())
    assert event.stamp == stamp


def test_a_body_with_a_length_ends_with_its_last_byte() -> None:
    body = Body(Head(b"HTTP/1.1 200 OK\r\nContent-Length: 4"))
    assert not body.is_whole
    assert body.feed(b"abcdef") == b"abcd"
    assert body.is_over


def test_a_body_without_a_length_is_whole_and_lasts_as_long_as_its_connection() -> None:
    body = Body(Head(b"HTTP/1.1 200 OK"))
    assert body.feed(b"abc") == b"abc"
    assert body.is_whole
    assert not body.is_over


@pytest.mark.parametrize("wire", [b"zz\r\n", b"\r\n", b"1" * 2000])
def test_a_body_that_is_not_chunked_as_announced_is_refused(wire: bytes) -> None:
    with pytest.raises(InvalidResponseError, match="not in chunks"):
        Body(CHUNKED).feed(wire)


def test_an_answer_is_read_wherever_it_is_cut(stream: Stream) -> None:
    wire = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\nrest"
    assert stream.answer(wire[:30]) is None
    assert stream.answer(wire[30:66]) is None
    assert stream.answer(wire[66:]) == b"rest"


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"HTTP/1.1 404 Not Found", "the answer was 404 Not Found"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html",
            "expected text/event-stream, the answer was text/html",
        ),
        (b"HTTP/1.1 204", "the answer was 204"),
    ],
)
def test_an_answer_other_than_a_stream_is_refused_with_the_reason(
    stream: Stream, head: bytes, why: str
) -> None:
    with pytest.raises(RefusedError, match=why):
        stream.answer(head + b"\r\n\r\n")


@pytest.mark.parametrize("head", [b"SSH-2.0-OpenSSH\r\n\r\n", b"x" * 70_000])
def test_a_malformed_answer_is_refused(stream: Stream, head: bytes) -> None:
    with pytest.raises(InvalidResponseError, match="the answer"):
        stream.answer(head)

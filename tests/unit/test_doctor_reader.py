import zlib

import pytest

from barestream_doctor.exchange import Ending, Exchange, arrivals
from barestream_doctor.response_reader import ResponseReader, UnreadableError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*pieces: bytes, ends: bool = False, is_reset: bool = False) -> Exchange:
    """Return an answer whose pieces come a second apart."""
    exchange = Exchange()
    reader = ResponseReader(exchange)
    for at, piece in enumerate(pieces):
        reader.feed(piece, at)
    if ends:
        reader.end(len(pieces), is_reset=is_reset)
    return exchange


def test_each_chunk_has_the_time_of_its_read() -> None:
    found = read(CHUNKED, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")
    assert [(each.at, each.data) for each in found.reads] == [(1, b"abc"), (2, b"de")]
    assert (found.status, found.head_at, found.ending, found.ended_at) == (200, 0, Ending.CLEAN, 2)


def test_pieces_may_be_cut_anywhere() -> None:
    whole = CHUNKED + b"b;x=y\r\ndata: x\n\n: \r\n0\r\nTrailer: 1\r\n\r\n"
    found = read(*(whole[at : at + 1] for at in range(len(whole))))
    assert (found.body, found.ending) == (b"data: x\n\n: ", Ending.CLEAN)


@pytest.mark.parametrize(
    ("head", "is_reset", "ending"),
    [
        (CHUNKED, False, Ending.CUT),
        (CHUNKED, True, Ending.RESET),
        (HEAD + b"\r\n", False, Ending.CLEAN),
        (HEAD + b"Content-Length: 9\r\n\r\n", False, Ending.CUT),
    ],
)
def test_an_end_is_proper_only_where_the_body_says_so(
    head: bytes, is_reset: bool, ending: Ending
) -> None:
    assert read(head, ends=True, is_reset=is_reset).ending is ending


def test_a_compressed_body_is_unpacked_as_it_comes() -> None:
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(b"data: a\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    second = packer.compress(b"data: b\n\n") + packer.flush()
    found = read(HEAD + b"Content-Encoding: gzip\r\n\r\n", first, second)
    assert [(each.at, each.data) for each in arrivals(found)] == [(1, "a"), (2, "b")]


def test_an_interim_answer_is_passed_over() -> None:
    assert read(b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED).status == 200


@pytest.mark.parametrize(
    "text", [b"SSH-2.0-OpenSSH\r\n", b"\x15\x03\x01", b"HTTP/1.1 what\r\n\r\n"]
)
def test_what_is_no_http_is_refused(text: bytes) -> None:
    with pytest.raises(UnreadableError, match="not HTTP"):
        read(text)


def test_comments_come_between_events() -> None:
    found = read(HEAD + b"\r\n", b":\n", b"event: a\ndata: 1\ndata: 2\nid: 7\n", b"\n:x\n")
    assert [(each.at, each.data, each.type, each.id) for each in arrivals(found)] == [
        (1, None, "", None),
        (3, "1\n2", "a", "7"),
        (3, None, "", None),
    ]

import pytest

from barestream_load.stamp import MOST_BYTES, Stamp, decode, encode

STAMP = Stamp(b"01ab34ef", 3, 17, 123_456_789)


@pytest.mark.parametrize("size_bytes", [MOST_BYTES, 130, 5000])
def test_a_stamp_is_read_as_it_was_written(size_bytes: int) -> None:
    data = encode(STAMP, size_bytes)
    assert len(data) == size_bytes
    assert decode(data) == STAMP


def test_the_largest_stamp_fits_the_smallest_data() -> None:
    stamp = Stamp(b"01ab34ef", 99_999, 9_999_999_999, 2**63 - 1)
    assert len(encode(stamp, MOST_BYTES)) == MOST_BYTES


def test_a_stamp_is_read_after_a_client_stripped_its_spaces() -> None:
    assert decode(encode(STAMP, 0).strip()) == STAMP


@pytest.mark.parametrize(
    "data", [b"", b"load", b"load 01ab34ef 1 2", b"load 01ab34ef 1 2 3 x", b"{}"]
)
def test_other_data_has_no_stamp(data: bytes) -> None:
    assert decode(data) is None

from http import HTTPStatus

import pytest

from barestream.server.request_head import MOST_HEAD_BYTES, RequestRefusedError, check

HOST = (b"host", b"x")


@pytest.mark.parametrize(
    ("fields", "has_body"),
    [
        ([], False),
        ([(b"content-length", b"0")], False),
        ([(b"content-length", b"10")], True),
        ([(b"transfer-encoding", b"Chunked ")], True),
    ],
)
def test_a_length_or_chunked_coding_announces_a_body(
    fields: list[tuple[bytes, bytes]], has_body: bool
) -> None:
    assert check("1.1", b"/", [HOST, *fields], is_behind_nginx=False) is has_body


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("1.1", []),
        ("2.0", []),
        ("1.1", [HOST, HOST]),
        ("1.0", [HOST, HOST]),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip, chunked")]),
        ("1.0", [(b"transfer-encoding", b"chunked")]),
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(
    version: str, fields: list[tuple[bytes, bytes]]
) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        check(version, b"/", fields, is_behind_nginx=False)
    assert caught.value.status == HTTPStatus.BAD_REQUEST


def test_target_and_fields_together_are_limited() -> None:
    half = b"x" * (MOST_HEAD_BYTES // 2)
    check("1.1", b"/", [HOST, (b"x", half)], is_behind_nginx=False)
    for target, fields in ((half, [(b"x", half)]), (b"/", [(b"x", half), (half, b"y")])):
        with pytest.raises(RequestRefusedError) as caught:
            check("1.1", target, [HOST, *fields], is_behind_nginx=False)
        assert caught.value.status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


def test_a_head_of_a_size_that_nginx_allowed_is_not_refused_again() -> None:
    assert not check("1.1", b"/", [(b"x", b"y" * MOST_HEAD_BYTES)], is_behind_nginx=True)
    with pytest.raises(RequestRefusedError):
        check("1.1", b"/", [(b"transfer-encoding", b"gzip, chunked")], is_behind_nginx=True)

"""The headers by which a producer names itself."""

import pytest
from bareasgi import HttpRequest

from barestream.web.producer_request import ProducerRequest
from barestream.web.refusals import Refused

NAMED = [(b"producer-id", b"p"), (b"producer-epoch", b"2"), (b"producer-seq", b"7")]


def read(*headers: tuple[bytes, bytes]) -> ProducerRequest | None:
    return ProducerRequest.read(HttpRequest({"headers": headers}, {}, {}, {}, None))  # type: ignore[typeddict-item, arg-type]


def test_a_producer_is_read_with_and_without_a_lease() -> None:
    assert read() is None
    found = read(*NAMED)
    assert found is not None
    assert (found.producer, found.first, found.lease_seconds) == (("p", 2), 7, None)
    with_lease = read(*NAMED, (b"producer-lease", b"5"))
    assert with_lease is not None
    assert with_lease.lease_seconds == 5


@pytest.mark.parametrize("name", [b"producer-id", b"producer-epoch", b"producer-seq"])
def test_a_header_that_comes_twice_is_refused(name: bytes) -> None:
    with pytest.raises(Refused, match="2 headers Producer-"):
        read(*NAMED, (name, b"1"))


def test_an_empty_lease_is_refused() -> None:
    with pytest.raises(Refused, match="Producer-Lease: expected"):
        read(*NAMED, (b"producer-lease", b""))

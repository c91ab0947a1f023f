"""Every request to the hub is answered, and leaves no error and no connection behind."""

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from examples import share
from exchange import Expectation, Watched, answer_to
from odd_requests import requests

# An example that fails causes this warning too, which would hide the failure.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")


def assert_answered(server: Watched, sent: bytes) -> None:
    status = answer_to(server.address, sent)
    # The depth that the examples reach, shown by --hypothesis-show-statistics.
    note(f"{status}, {'no HTTP' if Expectation(sent).broken else 'HTTP'}")
    # 303: a path may be mutated to the root, which leads to the page.
    assert status in (None, 303) or 200 <= status < 300 or 400 <= status < 500, status
    server.assert_well()


@share(0.2)
@given(requests(b"POST"))
def test_any_publish_is_answered(server: Watched, sent: bytes) -> None:
    assert_answered(server, sent)


@share(0.2)
@given(requests(b"GET"))
def test_any_subscription_is_answered(server: Watched, sent: bytes) -> None:
    assert_answered(server, sent)


@share(0.15)
@given(requests(b"QUERY"))
def test_any_subscription_with_a_body_is_answered(server: Watched, sent: bytes) -> None:
    assert_answered(server, sent)


@share(0.1)
@given(
    st.lists(
        requests(b"GET") | requests(b"QUERY") | requests(b"POST") | st.binary(max_size=50),
        min_size=2,
        max_size=3,
    )
)
def test_requests_that_follow_others_on_a_connection_are_answered(
    server: Watched, sent: list[bytes]
) -> None:
    assert_answered(server, b"".join(sent))

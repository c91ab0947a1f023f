import socket
from pathlib import Path

import pytest

from barestream_load.plan import Plan, TooFewFilesError, check_files
from barestream_load.target import InvalidTargetError, target


def test_a_url_gives_an_address_a_path_and_a_host() -> None:
    found = target("http://127.0.0.1:8080/events?x=1", (), None, 3)
    assert found.address == ("127.0.0.1", 8080)
    assert found.request(["X-Y: z"]) == (
        b"GET /events?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: text/event-stream\r\n"
        b"X-Y: z\r\n\r\n"
    )


def test_topics_go_into_the_query_of_the_hub() -> None:
    found = target("http://127.0.0.1", ("news", "/users/{id}"), None, 1)
    assert found.path == "/.well-known/mercure?topic=news&topic=%2Fusers%2F%7Bid%7D"
    assert found.hub_path == "/.well-known/mercure"
    assert target("http://127.0.0.1/hub?a=b", ("x",), None, 1).path == "/hub?a=b&topic=x"


def test_a_unix_socket_takes_the_place_of_the_host(tmp_path: Path) -> None:
    found = target("http://example.invalid/events", (), tmp_path / "0.sock", 5)
    assert (found.family, found.address) == (socket.AF_UNIX, str(tmp_path / "0.sock"))
    assert found.host == "example.invalid"
    assert found.sources == 0


def test_streams_come_from_several_addresses_of_this_machine() -> None:
    found = target("http://127.0.0.1/events", (), None, 2)
    addresses = []
    for nth in range(3):
        with found.socket(nth) as made:
            addresses.append(made.getsockname()[0])
    assert addresses == ["127.0.0.1", "127.0.0.2", "127.0.0.1"]


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://127.0.0.1/events", "127.0.0.1:80/events", "http:///events", "http://a:b/events"),
        *("http://127.0.0.1/a b", "http://127.0.0.1/é", "http://127.0.0.1:99999/events", ""),
        *("http://127.0.0.1", "http://127.0.0.1/"),
    ],
)
def test_another_address_is_refused_with_the_form_expected(url: str) -> None:
    with pytest.raises(InvalidTargetError, match="expected http://host:port/path"):
        target(url, (), None, 1)


def test_more_streams_than_files_are_refused_with_the_number_that_is_possible() -> None:
    where = target("http://127.0.0.1/events", (), None, 1)
    plan = Plan("", where, (), b"", 2001, 2, 0, 1, None)
    with pytest.raises(TooFewFilesError, match=r"at most 1872 with --processes 2.*1000 files"):
        check_files(plan, 1000, 936)
    check_files(plan, 2000, 1936)


def test_each_stream_belongs_to_one_process() -> None:
    where = target("http://127.0.0.1/events", (), None, 1)
    shares = Plan("", where, (), b"", 11, 3, 0, 1, None).shares
    assert sorted(nth for share in shares for nth in share) == list(range(11))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1

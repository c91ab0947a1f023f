import pytest

from barestream.history.valkey.broker_url import read_url
from barestream.history.valkey.guide import Address


def test_a_url_of_sentinels_names_them_the_service_and_how_to_connect_to_the_server() -> None:
    url = "redis+sentinel://user:p%40ss@one,two:5,[::1]:6/events/3"
    found = read_url(url)
    assert found.service == "events"
    assert found.sentinels == (Address("one", 26379), Address("two", 5), Address("::1", 6))
    named = ("username", "password", "db", "host", "port")
    assert [found.options.get(name) for name in named] == ["user", "p@ss", 3, None, None]


def test_a_sentinel_is_asked_with_its_own_password_and_the_options_of_tls() -> None:
    found = read_url("valkeys+sentinel://user:secret@one,two/s/3?ssl_ca_certs=/ca.pem")
    first, second = found.sentinel_options("own")
    assert (first["host"], second["host"], first["port"]) == ("one", "two", 26379)
    assert first["password"] == "own"
    assert first["ssl_ca_certs"] == "/ca.pem"
    assert first["ssl_check_hostname"]
    assert not {"username", "db"} & first.keys()
    assert "password" not in found.sentinel_options(None)[0]


def test_the_password_of_the_sentinels_is_read_again_for_each_connection() -> None:
    passwords = iter(["first", "second", "third"])
    found = read_url("redis+sentinel://user:secret@one,two/s")
    first, second = found.sentinel_options(lambda: next(passwords))
    assert not {"username", "password"} & (first.keys() | second.keys())
    assert first["credential_provider"].get_credentials() == ("second",)
    assert second["credential_provider"].get_credentials() == ("third",)


def test_a_sentinel_that_is_named_twice_is_asked_once() -> None:
    assert read_url("redis+sentinel://a,a:26379/s").sentinels == (Address("a", 26379),)


def test_a_url_without_sentinels_has_the_address_of_the_server() -> None:
    found = read_url("redis://host:6380/1")
    assert (found.options["host"], found.options["port"], found.sentinels) == ("host", 6380, ())


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://:secret@/s",
        "redis+sentinel://:secret@host",
        "redis+sentinel://:secret@host/",
        "redis+sentinel://:secret@host,/s",
        "redis+sentinel://:secret@host:99999/s",
        "redis+sentinel://:secret@host:secret/s",
        "redis+sentinel://:secret@[::1/s",
        "redis+sentinel://:secret@host/s/name",
        "redis+sentinel://:secret@host/s/1/2",
        "redis+sentinel://:secret@host/s p",
        "redis+sentinel://:secret@host/s?socket_timeout=1",
        "redis+sentinel://:sec#ret@host/s",
        "unix+sentinel://:secret@host/s",
        "http+sentinel://:secret@host/s",
    ],
)
def test_a_malformed_url_of_sentinels_is_refused_without_showing_what_may_be_the_password(
    url: str,
) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        read_url(url)
    assert "sec" not in str(caught.value)

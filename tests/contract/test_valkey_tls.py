"""Valkey over TLS, and each way in which a handshake fails."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from barestream.history.broker import BrokerAwayError, HistoryBounds
from barestream.history.update import Update
from barestream.history.valkey.broker import ValkeyBroker
from barestream.mercure.sse import Event
from support.servers.authority import Authority
from support.servers.service import free_port
from support.servers.valkey_server import ValkeyServer

BOUNDS = HistoryBounds(events=1000, seconds=3600, bytes=10_000_000)


class Certificates:
    """A folder with an authority, another one, and pairs of both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        (folder / "another").mkdir()
        self.another = Authority(folder / "another", "another authority")
        self.authority.issue(folder / "own")
        self.authority.issue(folder / "elsewhere", "127.0.0.2")
        self.authority.issue(folder / "expired", lifetime=dt.timedelta(minutes=59))
        self.authority.issue(folder / "client")
        self.another.issue(folder / "stranger")
        client = folder / "client"
        (client / "both.pem").write_bytes(
            (client / "fullchain.pem").read_bytes() + (client / "privkey.pem").read_bytes()
        )

    @contextmanager
    def served(self, pair: str, *, asks_clients: bool = False) -> Iterator[tuple[int, str]]:
        """Run a server that shows a pair; yield its port of TLS, and the service's password."""
        port = free_port()
        lines = [
            f"tls-port {port}",
            f"tls-cert-file {self.folder / pair / 'fullchain.pem'}",
            f"tls-key-file {self.folder / pair / 'privkey.pem'}",
            f"tls-ca-cert-file {self.authority.root}",
            f"tls-auth-clients {'yes' if asks_clients else 'no'}",
        ]
        with ValkeyServer(further="\n".join(lines)) as server:
            yield port, server.password

    @property
    def trusted(self) -> str:
        return f"ssl_ca_certs={self.authority.root}"

    def client(self, pair: str) -> str:
        folder = self.folder / pair
        return f"ssl_certfile={folder / 'fullchain.pem'}&ssl_keyfile={folder / 'privkey.pem'}"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


async def publish(url: str, password: str) -> None:
    broker = ValkeyBroker(url, BOUNDS, password)
    try:
        await broker.publish(Update(("topic",), Event("data")))
        assert len((await broker.newest(10, 10_000)).records) == 1
    finally:
        await broker.close()


def failure(url: str, password: str) -> str:
    with pytest.raises(BrokerAwayError) as caught:
        asyncio.run(publish(url, password))
    assert (caught.value.cause, caught.value.nothing_taken) == ("unreachable", True)
    return str(caught.value)


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_updates_are_published_and_read_over_tls(certificates: Certificates, scheme: str) -> None:
    with certificates.served("own") as (port, password):
        url = f"{scheme}://barestream@127.0.0.1:{port}?{certificates.trusted}"
        asyncio.run(publish(url, password))


@pytest.mark.parametrize("is_one_file", [False, True])
def test_a_server_that_asks_for_a_certificate_is_shown_it(
    certificates: Certificates, *, is_one_file: bool
) -> None:
    shown = certificates.client("client")
    if is_one_file:
        shown = f"ssl_certfile={certificates.folder / 'client' / 'both.pem'}"
    with certificates.served("own", asks_clients=True) as (port, password):
        url = f"rediss://barestream@127.0.0.1:{port}?{certificates.trusted}&{shown}"
        asyncio.run(publish(url, password))


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        ("stranger", "unable to get local issuer certificate"),
        ("elsewhere", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("expired", "certificate has expired"),
    ],
)
def test_a_certificate_that_is_not_accepted_is_named_with_the_reason(
    certificates: Certificates, pair: str, why: str
) -> None:
    with certificates.served(pair) as (port, password):
        url = f"rediss://barestream@127.0.0.1:{port}?{certificates.trusted}"
        why_not = failure(url, password)
    assert why_not.endswith(f"127.0.0.1:{port}: the server's certificate is not accepted: {why}")


def test_without_the_authority_of_the_server_its_certificate_is_not_accepted(
    certificates: Certificates,
) -> None:
    with certificates.served("own") as (port, password):
        url = f"rediss://barestream@127.0.0.1:{port}"
        assert "the server's certificate is not accepted" in failure(url, password)


@pytest.mark.parametrize("pair", [None, "stranger"])
def test_a_client_certificate_that_is_missing_or_wrong_is_hinted_at(
    certificates: Certificates, pair: str | None
) -> None:
    shown = f"&{certificates.client(pair)}" if pair else ""
    with certificates.served("own", asks_clients=True) as (port, password):
        url = f"rediss://barestream@127.0.0.1:{port}?{certificates.trusted}{shown}"
        why = failure(url, password)
    # The alert of the server may be lost, because it closes the connection behind it.
    assert "the TLS handshake failed: TLS" in why or "or a client certificate" in why


def test_a_server_of_tls_that_is_asked_without_tls_is_hinted_at(
    certificates: Certificates,
) -> None:
    with certificates.served("own") as (port, password):
        assert "it may expect TLS (rediss://)" in failure(
            f"redis://barestream@127.0.0.1:{port}", password
        )


def test_a_renewed_file_of_authorities_is_read_at_the_next_connection(
    certificates: Certificates, tmp_path: Path
) -> None:
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(certificates.another.root.read_bytes())

    async def scenario(url: str, password: str) -> None:
        broker = ValkeyBroker(url, BOUNDS, password)
        with pytest.raises(BrokerAwayError, match="is not accepted"):
            await broker.probe()
        authorities.write_bytes(certificates.authority.root.read_bytes())
        await broker.probe()
        await broker.close()

    with certificates.served("own") as (port, password):
        url = f"rediss://barestream@127.0.0.1:{port}?ssl_ca_certs={authorities}"
        asyncio.run(scenario(url, password))

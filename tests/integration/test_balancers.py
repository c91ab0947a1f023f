"""Two hosts on one Valkey behind each balancer, with the configurations of deploy/balancer."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import httpx
import pytest

from support.clients.publisher import KEY, PATH, token
from support.servers.balancer import DEAD_SECONDS, Balancer, Program
from support.servers.service import Service, children, wait_for
from support.servers.stopped import stopped
from support.servers.valkey_server import ValkeyServer
from support.viewers.viewers import Viewers

STREAMS = 40
AUTHORIZATION = {"Authorization": f"Bearer {token()}"}
DRAIN_SECONDS = 2.0

# The heartbeat is shorter here, and so is the time without one after which nginx gives a host up.
# A host that only gets no processor for a while is not silent for so long.
CHANGES: dict[Program, dict[str, str]] = {
    "haproxy": {},
    "nginx": {"proxy_read_timeout 35s": "proxy_read_timeout 8s"},
}


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Service]]:
    """Return two hosts that share a Valkey."""
    with ValkeyServer() as valkey, ExitStack() as stack:
        settings = {
            "broker_url": valkey.url,
            "broker_password": valkey.password,
            "token_key": KEY,
            "workers": 1,
            "drain_seconds": DRAIN_SECONDS,
            "heartbeat_seconds": 1,
            "trusted_proxies": "127.0.0.1",
            "subscriptions": True,
        }
        yield [stack.enter_context(Service(**settings)) for _ in range(2)]


@pytest.fixture(params=["haproxy", "nginx"])
def balancer(request: pytest.FixtureRequest, hosts: Sequence[Service]) -> Iterator[Balancer]:
    """Return each balancer in front of them."""
    program: Program = request.param
    for host in hosts:
        wait_for("the host", host.is_ready)
        wait_for("the end of earlier streams", lambda host=host: streams_of(host) == 0)
    with Balancer(program, [host.address for host in hosts], CHANGES[program]) as running:
        yield running


def streams_of(host: Service) -> int:
    return int(host.metrics()["barestream_streams"])


def test_streams_are_spread_evenly_and_each_host_knows_the_subscriptions_at_both(
    balancer: Balancer, hosts: Sequence[Service]
) -> None:
    def subscriptions(host: Service) -> int:
        answer = httpx.get(f"{host.url}{PATH}/subscriptions", headers=AUTHORIZATION)
        return sum(each["active"] for each in answer.json()["subscriptions"])

    with Viewers(balancer.url, STREAMS) as viewers:
        spread = [streams_of(host) for host in hosts]
        for host in hosts:
            wait_for("them", lambda host=host: subscriptions(host) == STREAMS)
        viewers.leave()
    # nginx counts the publishes that are under way too.
    assert sum(spread) == STREAMS
    assert min(spread) >= 0.4 * STREAMS, spread


def test_hosts_see_the_address_of_the_client(balancer: Balancer, hosts: Sequence[Service]) -> None:
    agent = f"by port {balancer.port}"
    claimed = {"X-Forwarded-For": "203.0.113.9", "User-Agent": agent}
    transport = httpx.HTTPTransport(local_address="127.0.0.7")
    with httpx.Client(transport=transport, base_url=balancer.url, headers=claimed) as client:
        assert client.get("/healthz").status_code == 200
    [line] = wait_for(
        "the request's line",
        lambda: [
            line for host in hosts for line in host.nginx_log() if line["user_agent"] == agent
        ],
    )
    assert line["client"] == "127.0.0.7"


def test_a_host_that_drains_leaves_first_and_nobody_loses_anything(
    balancer: Balancer, hosts: Sequence[Service]
) -> None:
    leaving, staying = hosts
    with Viewers(balancer.url, STREAMS) as viewers:
        leaving.end_app()
        # Its nginx is there, and refuses no connection.
        assert httpx.get(f"{leaving.url}/readyz").status_code == 502
        stream = f"{leaving.url}{PATH}?topic=a"
        assert httpx.get(stream).status_code == 200
        assert httpx.get(stream, headers={"Barestream-Balancer": "on"}).status_code == 502
        wait_for("the streams", lambda: streams_of(staying) == STREAMS)
        leaving.start_app()
        report = viewers.leave()
    report.assert_nothing_lost()
    assert len(report.touched_twice) == 0, report.touched_twice


def test_streams_of_a_host_that_is_silent_go_on_at_the_other_one(
    balancer: Balancer, hosts: Sequence[Service]
) -> None:
    silent, other = hosts
    processes = [
        *(silent.nginx_pid, *children(silent.nginx_pid)),
        *(silent.app_pid, *children(silent.app_pid)),
    ]
    with Viewers(balancer.url, STREAMS) as viewers:
        with stopped(*processes):
            wait_for("the streams", lambda: streams_of(other) == STREAMS)
        report = viewers.leave()
    report.assert_nothing_lost()
    assert max(report.silences_seconds) < DEAD_SECONDS


def test_without_any_host_a_stream_gets_a_reconnection_delay_and_a_publish_an_error(
    balancer: Balancer, hosts: Sequence[Service]
) -> None:
    for host in hosts:
        host.end_app()
    try:
        with httpx.Client(base_url=balancer.url, headers=AUTHORIZATION) as client:
            for headers in ({"Accept": "text/event-stream"}, {}):
                answer = client.get(f"{PATH}?topic=a", headers=headers)
                assert answer.status_code == 200
                assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
                assert answer.text.startswith("retry: ")
            assert client.post(PATH, data={"topic": "a"}).status_code in (502, 503)
            page = client.get(f"{PATH}?topic=a&rewind=1", headers={"Accept": "application/json"})
            assert page.status_code in (502, 503)
    finally:
        for host in hosts:
            host.start_app()

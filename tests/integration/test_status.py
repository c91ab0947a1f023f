"""The lines that deploy/status makes of the service's metrics."""

import asyncio
import subprocess
from pathlib import Path

import httpx
import pytest

from support.clients.publisher import KEY, Publisher
from support.servers.served import following, until
from support.servers.service import ROOT, Service


def told(first: str, second: str) -> str:
    """Return the line about two samples that were taken 2 s apart."""
    script = 'awk -v seconds=2 -f "$0" sample=1 <(echo "$1") sample=2 <(echo "$2")'
    done = subprocess.run(
        ["bash", "-c", script, ROOT / "deploy/vm/figures.awk", first, second],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.rstrip("\n")


def metrics(socket: Path) -> str:
    """Return the metrics of the whole app, as a worker answers them."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as client:
        return client.get("http://localhost/metrics").text


async def five_events(service: Service) -> tuple[str, str]:
    """Publish to two streams, and return the figures before and after."""
    async with (
        Publisher(service.url) as publisher,
        following(service.address, "t") as one,
        following(service.address, "t") as other,
    ):
        await until(lambda: one.retries_ms and other.retries_ms)
        before = metrics(service.current_sockets[0])
        for nth in range(5):
            await publisher.publish("t", data=str(nth))
        await until(lambda: len(one.events) == len(other.events) == 5)
        return before, metrics(service.current_sockets[0])


def test_rates_and_lag_are_those_of_the_time_between_two_samples() -> None:
    with Service(token_key=KEY, workers=1) as service:
        before, after = asyncio.run(five_events(service))
    line = told(before, after)
    assert line.startswith("2 streams, 2.5 events/s published, 5.0 delivered; lag p50 below ")
    assert line.endswith(" ms; Valkey answers")
    assert told(after, after) == (
        "2 streams, 0.0 events/s published, 0.0 delivered; lag p50 none, p99 none; Valkey answers"
    )


def sample(buckets: dict[str, int], *, history_up: int = 1, draining: int = 0) -> str:
    """Return metrics of a delivery lag, with the bounds of the service's own metrics."""
    name = "barestream_delivery_lag_seconds_bucket"
    return "\n".join(
        [
            "# TYPE barestream_delivery_lag_seconds histogram",
            *(f'{name}{{le="{bound}"}} {count}.0' for bound, count in buckets.items()),
            "barestream_streams 500.0",
            "barestream_updates_published_total 1.0",
            "barestream_events_delivered_total 1.25e+06",
            f"barestream_history_up {history_up}.0",
            f"barestream_workers_draining {draining}.0",
        ]
    )


@pytest.mark.parametrize(
    ("after", "lags"),
    [
        ({"0.001": 199, "1.0": 200, "+Inf": 200}, "p50 below 1 ms, p99 below 1 ms"),
        ({"0.001": 150, "1.0": 200, "+Inf": 200}, "p50 below 1 ms, p99 below 1000 ms"),
        ({"0.001": 100, "1.0": 101, "+Inf": 200}, "p50 above 1000 ms, p99 above 1000 ms"),
    ],
)
def test_a_share_of_the_deliveries_is_below_a_bound(after: dict[str, int], lags: str) -> None:
    before = {"0.001": 100, "1.0": 100, "+Inf": 100}
    assert f"; lag {lags}; Valkey answers" in told(sample(before), sample(after))


def test_an_absent_valkey_and_a_drain_are_reported() -> None:
    line = told(sample({"+Inf": 1}), sample({"+Inf": 1}, history_up=0, draining=2))
    assert line.endswith("; Valkey does NOT answer; 2 workers drain")


@pytest.mark.parametrize("script", ["status", "logs"])
def test_without_a_vm_the_usage_is_printed(script: str) -> None:
    done = subprocess.run(
        [ROOT / "deploy" / script], capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode == 2
    assert f"{script} user@host[:port]" in done.stderr

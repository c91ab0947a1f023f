import asyncio
from pathlib import Path

import pytest

from barestream.telemetry.metrics import Metrics
from barestream.telemetry.process_usage import ProcessUsage, Usage, most_memory_bytes, own_usage


def noted(slot: int, *usages: Usage) -> list[str]:
    """Return the lines of the metrics after some looks."""
    metrics, left = Metrics(), list(usages)

    async def sleep(_seconds: float) -> None:
        if not left:
            raise asyncio.CancelledError

    async def look() -> None:
        usage = ProcessUsage(metrics.worker, slot, lambda: left.pop(0))
        await asyncio.wait([asyncio.create_task(usage.run(sleep))])

    asyncio.run(look())
    return metrics.text().decode().splitlines()


def test_the_usage_of_a_worker_is_noted_under_its_slot() -> None:
    lines = noted(3, Usage(0.25, 1000), Usage(1.0, 500))
    assert 'barestream_worker_cpu_seconds_total{slot="3"} 1.0' in lines
    assert 'barestream_worker_memory_bytes{slot="3"} 500.0' in lines


def test_a_process_knows_what_it_takes() -> None:
    before = own_usage()
    assert before.memory_bytes > 1_000_000
    sum(range(100_000))
    assert own_usage().cpu_seconds > before.cpu_seconds


@pytest.mark.parametrize(
    ("name", "text", "most"),
    [
        ("memory.max", "1073741824\n", 1_073_741_824),
        ("memory.max", "max\n", 0),
        ("memory/memory.limit_in_bytes", "104857600\n", 104_857_600),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", 0),
    ],
)
def test_the_bound_of_a_container_is_read(tmp_path: Path, name: str, text: str, most: int) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / name).write_text(text)
    assert most_memory_bytes(tmp_path) == most


def test_without_a_container_there_is_no_bound(tmp_path: Path) -> None:
    assert most_memory_bytes(tmp_path) == 0

"""Each sample of the manual runs as it is printed."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.manual.machine import Machine
from support.manual.pages import fences, pages, runner_of, steps
from support.manual.reading import Reading

WITH_SAMPLES = [page for page in pages() if any(runner_of(step) == "page" for step in steps(page))]

# The hub without Docker: its log is in the memory of one worker. A proxy that notices only by a
# write that its client has left need not wait for 15 s.
WITHOUT_DOCKER = {
    "DOCKER_HOST": "unix:///nowhere",
    "BARESTREAM_HEARTBEAT_SECONDS": "3",
}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_block_is_read_and_has_a_runner(page: Path) -> None:
    blocks = [step for step in steps(page) if step.language]
    assert len(blocks) == fences(page), "a fence has no language, or is indented"
    assert [block.place for block in blocks if not runner_of(block)] == []


@pytest.mark.parametrize("page", WITH_SAMPLES, ids=lambda page: page.name)
def test_the_samples_of_a_page_run_as_printed(page: Path, figure: Callable[[str], None]) -> None:
    with Machine(**WITHOUT_DOCKER) as machine, Reading(machine, "native") as reading:
        reading.read(steps(page))
    blocks = [step for step in steps(page) if step.language]
    elsewhere = Counter(runner_of(step) for step in blocks) - Counter({"page": len(blocks)})
    figure(f"{len(blocks)} blocks, {reading.ran.total()} run here, elsewhere {dict(elsewhere)}")


# What needs a VM, a cluster, a registry or a public CA, or would remove images: test_tables checks
# the options. And a measurement, which is not repeated.
NOT_RUN = {"vm", "checked", "figures"}


def test_only_these_samples_are_not_run(figure: Callable[[str], None]) -> None:
    blocks = [step for page in pages() for step in steps(page) if step.language]
    left_out = [step for step in blocks if runner_of(step) in NOT_RUN]
    figure(
        f"{len(blocks)} samples, {len(blocks) - len(left_out)} are run: "
        f"{dict(Counter(map(runner_of, blocks)))}"
    )
    assert [(step.page, step.text.split()[:2]) for step in left_out] == [
        ("benchmarks.md", ["|", "load"]),
        ("client.md", ["npm", "pack"]),
        ("deploy.md", ["deploy/provision", "root@events.example"]),
        ("deploy.md", ["ssh", "root@events.example"]),
        ("deploy.md", ["deploy/rollout", "root@events.example"]),
        ("deploy.md", ["docker", "pull"]),
        ("deploy.md", ["docker", "image"]),
        ("deploy.md", ["deploy/certificate", "root@events.example"]),
        ("deploy.md", ["deploy/backup", "root@events.example"]),
        ("doctor.md", ["ERROR", "headers-late:"]),
        ("doctor.md", ["WARNING", "constant-delay:"]),
        ("kubernetes.md", ["docker", "build"]),
        ("kubernetes.md", ["kubectl", "exec"]),
        ("several-hosts.md", ["deploy/provision", "root@a.example"]),
        ("several-hosts.md", ["deploy/rollout", "root@a.example"]),
        ("several-hosts.md", ["deploy/rollout", "root@a.example"]),
        ("several-hosts.md", ["host", "version"]),
    ]

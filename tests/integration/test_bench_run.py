"""The bench from its options on: which rows a course has, and what a row measures."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.client import Client
from bench.courses import publishing
from bench.measurement import Stand
from bench.rounds import Course
from bench.servers import KEYS, Peers
from support.servers.programs import give_up, path_of
from support.servers.service import ROOT
from support.servers.valkey_server import binary


@pytest.fixture(scope="module")
def of_publishing(tmp_path_factory: pytest.TempPathFactory) -> Course:
    path_of("cc", "gcc")
    if not binary():
        give_up("no server: apt-get install valkey-server, or redis-server")
    cache = tmp_path_factory.mktemp("bench")
    # The program of Mercure's hub is not started: it only has to be one.
    peers = Peers(cache, mercure=Path(sys.executable), without=frozenset(KEYS))
    return publishing.course(Stand(Client(cache), is_quick=True), peers)


def test_publishing_in_memory_and_to_the_disk_have_a_table_each(of_publishing: Course) -> None:
    assert [[job.row for job in table.jobs] for table in of_publishing.tables] == [
        [
            *("barestream, 1 at once", "barestream, 64 at once"),
            *("Mercure's hub, 1 at once", "Mercure's hub, 64 at once"),
            *("C floor, 1 at once", "C floor, 64 at once"),
        ],
        [
            *("barestream to Valkey, 1 at once", "barestream to Valkey, 64 at once"),
            *("Mercure's hub with Bolt, 1 at once", "Mercure's hub with Bolt, 64 at once"),
        ],
    ]


@pytest.mark.parametrize("row", ["C floor, 64 at once", "barestream to Valkey, 64 at once"])
def test_publishes_of_a_server_are_measured(of_publishing: Course, row: str) -> None:
    [job] = [job for job in of_publishing.jobs if job.row == row]
    figures = job.run()
    assert figures["accepted_per_second"] > 0
    assert figures["cpu_us"] > 0
    assert figures["refused"] == 0


def test_a_run_names_what_is_left_out_and_refuses_a_program_that_is_missing() -> None:
    path_of("cc", "gcc")
    options = ("--only", "burst", "--mercure", "no-such-program")
    done = subprocess.run(
        [sys.executable, "tests/bench", *options, "--without", *KEYS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "bench: left out: nchan (--without), better-sse (--without), sse-starlette (--without), "
        "Centrifugo (--without)",
        "bench: --mercure no-such-program: this is no program",
    ]

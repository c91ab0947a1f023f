"""An instance that starts beside a stuck one: its sockets listen, and their queues are full."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from barestream.server.readiness import unready
from support.servers.service import PATIENCE_SECONDS, wait_for


@pytest.fixture
def stuck() -> Iterator[Path]:
    """Return the folder of the sockets, in which `current` leads to a stuck instance."""
    with contextlib.ExitStack() as stack:
        # Not pytest's own folder, whose path is too long for a socket.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bs-")))
        (folder / "old").mkdir()
        (folder / "current").symlink_to("old")
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(folder / "old/0.sock"))
        listener.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(str(folder / "old/0.sock"))
        yield folder


@contextlib.contextmanager
def serving(folder: Path, instance: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "barestream", "serve"],
        env={
            **os.environ,
            "PYTHONPATH": "src",
            "BARESTREAM_SOCKET_DIR": str(folder),
            "BARESTREAM_INSTANCE": instance,
            "BARESTREAM_WORKERS": "1",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_another_instance_starts_and_leaves_the_link_to_the_stuck_one_for_the_rollout(
    stuck: Path,
) -> None:
    with serving(stuck, "new") as process:
        wait_for("the worker", lambda: not unready([stuck / "new/0.sock"]))
        assert (stuck / "current").readlink() == Path("old")
        assert process.poll() is None


def test_an_instance_of_the_same_name_fails_at_once_because_another_one_listens(
    stuck: Path,
) -> None:
    with serving(stuck, "old") as process:
        assert process.wait(PATIENCE_SECONDS) == 1
        assert process.stderr
        assert "another instance listens in" in process.stderr.read()


def test_the_health_check_reports_that_the_queue_of_a_stuck_worker_is_full(stuck: Path) -> None:
    [sentence] = unready([stuck / "old/0.sock"])
    assert sentence.endswith("the worker accepts no connection: its queue is full")

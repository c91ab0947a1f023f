"""The command ``health``, of a service whose Valkey does not answer."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from support.servers.service import free_port, wait_for


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Return the environment of a service that runs, and of its commands."""
    # Not pytest's own folder, whose path is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="bs-") as folder:
        variables = {
            **os.environ,
            "PYTHONPATH": "src",
            "BARESTREAM_SOCKET_DIR": folder,
            "BARESTREAM_WORKERS": "1",
            "BARESTREAM_BROKER_URL": f"redis://127.0.0.1:{free_port()}",
        }
        command = [sys.executable, "-m", "barestream", "serve"]
        with subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL) as process:
            yield variables
            process.terminate()


def test_a_worker_without_its_valkey_is_alive_and_not_ready(environment: dict[str, str]) -> None:
    def health(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "barestream", "health", *options]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    wait_for("the worker", lambda: health("--alive").returncode == 0)
    ready = health()
    assert ready.returncode == 1
    assert "/readyz answers 503: The history" in ready.stderr

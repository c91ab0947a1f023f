"""The app without nginx, and a client that vanishes without a FIN."""

import socket
import time
from pathlib import Path

import pytest

from support.clients.vanished import vanish
from support.servers.bound import Bound
from support.servers.service import ROOT, wait_for

VANISHED_SECONDS = 3


@pytest.fixture
def impatient(tmp_path: Path) -> dict[str, str]:
    """Return the environment of an app that waits for seconds instead of minutes."""
    # Python imports a module of this name when it starts.
    (tmp_path / "sitecustomize.py").write_text(
        f"import barestream.server.server as server\nserver.VANISHED_SECONDS = {VANISHED_SECONDS}\n"
    )
    return {"PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}"}


def test_the_connection_of_a_vanished_client_is_closed(impatient: dict[str, str]) -> None:
    with (
        Bound(environment=impatient, slow_seconds=1, heartbeat_seconds=1) as service,
        socket.create_connection(service.address, timeout=10) as client,
    ):
        client.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        vanish(client)
        began_at = time.monotonic()
        # The kernel checks the time each time that it repeats unacknowledged bytes.
        [end] = wait_for("its end", service.ended_streams, seconds=20)
        print(f"let go of after {time.monotonic() - began_at:.1f} s")
        assert end["reason"] == "client left"

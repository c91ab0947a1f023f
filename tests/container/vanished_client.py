"""A client of nginx's container that vanishes, and how long nginx keeps it."""

import json
import socket
import time
from typing import Any

from compose import Stack
from support.clients.vanished import vanish

USER_AGENT = "vanished"
POLL_SECONDS = 5
# Well above what is allowed, and below the kernel's own 16 minutes.
PATIENCE_SECONDS = 240


class VanishedClient:
    """A stream by way of the container's own address: Docker's proxy would be the client else."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def watch(self) -> float | None:
        """Return after how many seconds nginx let go of the client; None where it did not."""
        networks = self._stack.inspect("nginx")["NetworkSettings"]["Networks"]
        address = (networks[self._stack.network]["IPAddress"], 80)
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(
                f"GET /events HTTP/1.1\r\nHost: x\r\nUser-Agent: {USER_AGENT}\r\n\r\n".encode()
            )
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            vanish(client)
            began_at = time.monotonic()
            while time.monotonic() < began_at + PATIENCE_SECONDS:
                time.sleep(POLL_SECONDS)
                if line := self._access_log_line():
                    return float(line["seconds"])
        return None

    def _access_log_line(self) -> dict[str, Any] | None:
        for line in self._stack.logs("nginx").splitlines():
            if f'"user_agent": "{USER_AGENT}"' in line:
                # Compose can write what clears a line before it.
                found: dict[str, Any] = json.loads(line[line.index("{") :])
                return found
        return None

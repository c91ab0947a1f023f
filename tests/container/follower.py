"""Run in the app's container: follow a topic on each worker's own socket.

    python -c "$(cat follower.py)" INSTANCE EVENTS PATH

Prints a JSON list for each worker: the ids of so many events.
"""

import http.client
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def follow(path: Path, events: int, target: str) -> list[str]:
    """Return the ids of the first events on a socket."""
    connection = http.client.HTTPConnection("localhost", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(60)
    connection.sock.connect(str(path))
    connection.request("GET", target)
    ids: list[str] = []
    with connection.getresponse() as response:
        while len(ids) < events:
            line = response.readline().decode()
            if line.startswith("id: "):
                ids.append(line[4:].strip())
    return ids


if __name__ == "__main__":
    instance, events, target = sys.argv[1:]
    sockets = sorted((Path("/run/barestream") / instance).glob("*.sock"))
    with ThreadPoolExecutor() as threads:
        for ids in threads.map(lambda path: follow(path, int(events), target), sockets):
            print(json.dumps(ids))

"""Run in the app's container: follow a topic on each worker's own socket.

    python -c "$(cat event_parser.py print_ids.py)" INSTANCE EVENTS PATH

Prints a JSON list for each worker: the ids of so many events.
"""

import http.client
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.clients.event_parser import EventParser


def follow(path: Path, events: int, target: str) -> list[str]:
    """Return the ids of the first events on a socket."""
    connection = http.client.HTTPConnection("localhost", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(60)
    connection.sock.connect(str(path))
    connection.request("GET", target)
    parser, ids = EventParser(), list[str]()
    with connection.getresponse() as response:
        while len(ids) < events:
            received = response.read1()
            assert received, "the stream is over"
            ids += [event.id for event in parser.feed(received)]
    return ids[:events]


if __name__ == "__main__":
    instance, events, target = sys.argv[1:]
    sockets = sorted((Path("/run/barestream") / instance).glob("*.sock"))
    with ThreadPoolExecutor() as threads:
        for ids in threads.map(lambda path: follow(path, int(events), target), sockets):
            print(json.dumps(ids))

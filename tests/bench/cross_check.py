"""Whether the client's totals are true: h2load holds as many streams, and must read as many bytes.

h2load (Debian's nghttp2-client) knows nothing of events; it counts what comes.
"""

import re
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bench.broadcasting import LEAST_DATA
from bench.client import Client, Load, Target
from bench.servers import Ours
from bench.servers.cache import program

STREAMS = 100

# h2load says nowhere when its streams are open.
_OPENING_SECONDS = 1.5

# Its streams begin before ours, and end after them; less than a heartbeat's time, which would be
# another number of bytes for those that are open a little longer.
_HELD_SECONDS = 8

_LOAD = Load(
    streams=STREAMS,
    publishers=4,
    events_per_second=200,
    measure_seconds=3,
)

_TRAFFIC = re.compile(r"^traffic: \S+ \((\d+)\) total", re.MULTILINE)


@dataclass(frozen=True)
class CrossCheck:
    """What both read.

    Attributes:
        ours_bytes: What our client's streams read, heads included.
        h2load_bytes: What h2load's did.
        events: How many events there were.
    """

    ours_bytes: int
    h2load_bytes: int
    events: int

    @property
    def agrees(self) -> bool:
        """Whether there were events, and both read the same."""
        return self.events > 0 and self.ours_bytes == self.h2load_bytes

    def __str__(self) -> str:
        return (
            f"{STREAMS} streams, {self.events} events: this client read {self.ours_bytes} bytes, "
            f"h2load {self.h2load_bytes}: {'they agree' if self.agrees else 'THEY DIFFER'}"
        )


def cross_check(client: Client) -> CrossCheck:
    """Have both hold streams of ours through the same events."""
    h2load = program("h2load", "nghttp2-client")
    with Ours() as server:
        assert not isinstance(server.address, Path)
        host, port = server.address
        target = server.get("bench")
        load = replace(
            _LOAD, targets=[Target(target)], request=server.post("bench", LEAST_DATA + "." * 36)
        )
        url = f"http://{host}:{port}{target}"
        command = [h2load, "--h1", f"-c{STREAMS}", f"-D{_HELD_SECONDS}", url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holding:
            time.sleep(_OPENING_SECONDS)
            result = client.run(server.address, load)
            printed, _ = holding.communicate()
    return CrossCheck(result.bytes, _total_bytes(printed), result.accepted)


def _total_bytes(printed: str) -> int:
    found = _TRAFFIC.search(printed)
    if found is None:
        raise ValueError(f"h2load printed no traffic:\n{printed}")
    return int(found[1])

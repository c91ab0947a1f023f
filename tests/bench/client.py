"""The bench's client, a program of C: built, run, and understood."""

import json
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench import processes
from bench.servers import Address
from bench.servers.cache import made_from, program, run

SOURCE = Path(__file__).with_name("client.c")

# What the client writes over, in a request that publishes; letters that no encoding touches.
SEQUENCE = "SEQUENCE__"
STAMP = "SEND_TIME_IN_NS____"
TOPIC = "TOPIC__"

# Beyond its phases a run has but to write its report.
_MORE_SECONDS = 30

# Streams come from so many addresses. One has 28,000 ports, and for a minute after a run those of
# its connections are not free.
SOURCES = 20


class ClientError(Exception):
    """The client did not come to its end; the message says why."""


class Target(NamedTuple):
    """What a stream asks for.

    Attributes:
        request_target: Of its GET.
        first_topic: The first of the topics that it then gets; all of them where there is one.
        topics: How many.
    """

    request_target: str
    first_topic: int = 0
    topics: int = 1


@dataclass(frozen=True)
class Load:
    """What the client does to a server.

    Attributes:
        targets: What the streams ask for, in turn.
        ramp_seconds: Over which they are opened.
        request: A publish, with SEQUENCE, STAMP and, of several topics, TOPIC in it.
        publishers: Connections that publish.
        events_per_second: By all of them; 0: each publishes as soon as it is answered.
        together: Whether all publish at the same moment.
        streamed: Whether each writes its events into the body of one request, whose line of an
            event is the body of `request`. With 0 events_per_second as fast as the server reads.
        topics: How many there are.
        settle_seconds: From the last stream's opening to the first event.
        warm_up_seconds: From the first event to the first one that is measured.
        measure_seconds: From then to the last event.
        drain_seconds: How long is waited for what is missing then.
        turn_seconds: Streams are opened and events sent in every second stretch of so many seconds
            alone, as if there were no time between: `ramp_seconds` and `events_per_second` go by
            that time, the other seconds by the clock. 0: all the time.
        turns_are_odd: Whether it is the odd stretches; another client may have the even ones.
    """

    streams: int = 0
    targets: Sequence[Target] = ()
    ramp_seconds: float = 0
    request: bytes = b""
    publishers: int = 0
    events_per_second: float = 0
    together: bool = False
    streamed: bool = False
    topics: int = 1
    open_timeout_seconds: float = 30
    settle_seconds: float = 0.5
    warm_up_seconds: float = 0
    measure_seconds: float = 0
    drain_seconds: float = 5
    turn_seconds: float = 0
    turns_are_odd: bool = False

    @property
    def seconds(self) -> float:
        """How long it takes with a server that keeps up."""
        ramp_seconds = self.ramp_seconds * (2 if self.turn_seconds else 1)
        return ramp_seconds + self.settle_seconds + self.warm_up_seconds + self.measure_seconds


@dataclass(frozen=True)
class Spread:
    """How long something took, in milliseconds."""

    count: int
    p50: float
    p99: float
    p999: float
    max: float


@dataclass(frozen=True)
class Phase:
    """What happened while it was measured; bytes are those that streams read."""

    seconds: float
    delivered: int
    bytes: int
    accepted: int
    client_cpu_seconds: float


@dataclass(frozen=True)
class Result:
    """What the client found.

    Attributes:
        failed: Streams that were not open in time.
        ended_early: Streams that ended before the client's end.
        first_failure: Why the first of those failed, or a streamed publish was refused.
        owed: Deliveries of events that were accepted, or that any stream has.
        lost: Those of them that did not come.
        out_of_order: Events that came behind one that was sent after they had their answer.
        foreign: Events that nobody published, or that the stream did not ask for.
        accepted: Publishes that were answered well; of a streamed publish its events, when it ends.
        unanswered: Publishes whose connection broke first.
        bytes: What streams read in all, heads included.
    """

    opened: int
    failed: int
    ended_early: int
    first_failure: str
    owed: int
    delivered: int
    lost: int
    twice: int
    out_of_order: int
    foreign: int
    published: int
    accepted: int
    refused: int
    unanswered: int
    bytes: int
    connect_ms: Spread | None
    delivery_ms: Spread | None
    answer_ms: Spread | None
    measured: Phase
    client_cpu_seconds: float

    @classmethod
    def parse(cls, text: str) -> "Result":
        """Return what the client printed."""
        found: dict[str, Any] = json.loads(text)
        for name in ("connect_ms", "delivery_ms", "answer_ms"):
            found[name] = found[name] and Spread(**found[name])
        return cls(**found | {"measured": Phase(**found["measured"])})

    @property
    def faults(self) -> int:
        """How often a stream did not get what it was to get."""
        broken = self.failed + self.ended_early
        return broken + self.lost + self.twice + self.out_of_order + self.foreign


class Client:
    """The built client.

    Args:
        cache: Where what the bench builds stays.
    """

    def __init__(self, cache: Path) -> None:
        self._program = made_from(SOURCE, cache / "client", _compile) / "client"

    def run(
        self,
        address: Address,
        load: Load,
        *,
        on_mark: Callable[[str], None] = lambda _: None,
        core: int | None = None,
    ) -> Result:
        """Put a load on a server, and return what came of it.

        Args:
            address: Where it listens.
            load: What is done to it.
            on_mark: Told of each phase as it begins.
            core: To which the client keeps.
        """
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            command: list[str | Path] = [
                self._program,
                *_place(address),
                *_options(load, Path(folder)),
            ]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            with process, _stopped_after(process, load):
                if core is not None:
                    processes.pin([process.pid], core)
                return _followed(process, on_mark)


def _compile(folder: Path) -> None:
    compiler = program("cc", "gcc")
    run(compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", "client", SOURCE, folder=folder)


def _place(address: Address) -> list[str]:
    if isinstance(address, Path):
        return ["--unix", str(address)]
    host, port = address
    return ["--tcp", f"{host}:{port}", "--sources", str(SOURCES)]


def _options(load: Load, folder: Path) -> Iterator[str]:
    """Yield the load as the client's options, with the files that they name."""
    numbers = {
        "streams": load.streams,
        "ramp": load.ramp_seconds,
        "open-timeout": load.open_timeout_seconds,
        "settle": load.settle_seconds,
        "publishers": load.publishers,
        "rate": load.events_per_second,
        "topics": load.topics,
        "warm-up": load.warm_up_seconds,
        "measure": load.measure_seconds,
        "drain": load.drain_seconds,
        "turn": load.turn_seconds,
    }
    yield from (f"--{name}={value}" for name, value in numbers.items())
    if load.together:
        yield "--together"
    if load.streamed:
        yield "--streamed"
    if load.turns_are_odd:
        yield "--odd"
    if load.targets:
        lines = ("\t".join(map(str, target)) for target in load.targets)
        (folder / "targets").write_text("\n".join(lines))
        yield f"--targets={folder}/targets"
    if load.request:
        (folder / "request").write_bytes(load.request)
        yield f"--request={folder}/request"


@contextmanager
def _stopped_after(process: subprocess.Popen[str], load: Load) -> Iterator[None]:
    """Have the client killed once it has had more time than it can need."""
    most_seconds = load.seconds + load.open_timeout_seconds + load.drain_seconds + _MORE_SECONDS
    watchdog = threading.Timer(most_seconds, process.kill)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()
        process.kill()


def _followed(process: subprocess.Popen[str], on_mark: Callable[[str], None]) -> Result:
    assert process.stdout is not None
    assert process.stderr is not None
    complaints = []
    for line in process.stderr:
        word, _, name = line.strip().partition(" ")
        if word == "mark":
            on_mark(name)
        else:
            complaints.append(line)
    # Short: it waits in the pipe.
    text = process.stdout.read()
    if process.wait():
        raise ClientError("".join(complaints) or f"the client ended with {process.returncode}")
    return Result.parse(text)

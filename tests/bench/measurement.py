"""A load put on a server, and what the server's processes used for it."""

from dataclasses import dataclass

from bench import processes
from bench.client import Client, Load, Result
from bench.rounds import STOLEN, Figures
from bench.servers import Server
from bench.servers.holds import Holds


class NotServedError(Exception):
    """A server did not do what is measured at all; the message says what it did instead."""


@dataclass(frozen=True)
class Measurement:
    """What came of a load.

    Attributes:
        result: What the client found.
        cpu_seconds: What the server's processes had used by each of the client's marks.
        stolen_seconds: What the machine's host took from it by each of them.
        streams_bytes: By how much their memory grew from before the first stream to all of them,
            each written to.
        holds: How long its loop was held by each of the marks, where it tells.
    """

    result: Result
    cpu_seconds: dict[str, float]
    stolen_seconds: dict[str, float]
    streams_bytes: int
    holds: dict[str, Holds]

    def used_seconds(self, begin: str, end: str) -> float:
        """Return the server's CPU time between two marks."""
        return self.cpu_seconds[end] - self.cpu_seconds[begin]

    def faults(self) -> Figures:
        """Return what went wrong, each kind by its name."""
        result = self.result
        return {
            "failed": result.failed + result.ended_early,
            "lost": result.lost,
            "twice": result.twice,
            "out_of_order": result.out_of_order,
            "foreign": result.foreign,
            "refused": result.refused + result.unanswered,
        }

    def cores(self) -> Figures:
        """Return how many cores were at work while it was measured."""
        measured = self.result.measured
        return {
            "server_cores": self.used_seconds("start", "end") / measured.seconds,
            "client_cores": measured.client_cpu_seconds / measured.seconds,
            STOLEN: (self.stolen_seconds["end"] - self.stolen_seconds["start"]) / measured.seconds,
        }

    def deliveries(self) -> Figures:
        """Return what a delivery cost, how long it took, and how many there were."""
        measured, latency = self.result.measured, self.result.delivery_ms
        if latency is None or not measured.delivered:
            raise NotServedError(f"nothing was delivered: {self.result}")
        return {
            "streams": self.result.opened,
            "cpu_us": 1e6 * self.used_seconds("start", "end") / measured.delivered,
            "p50_ms": latency.p50,
            "p99_ms": latency.p99,
            "p999_ms": latency.p999,
            "max_ms": latency.max,
            "delivered_per_second": measured.delivered / measured.seconds,
            "wire_bytes": measured.bytes / measured.delivered,
            **self._holds(),
            **self.faults(),
            **self.cores(),
        }

    def connects(self) -> Figures:
        """Return what a stream cost to open, and what it holds."""
        opened, latency = self.result.opened, self.result.connect_ms
        if latency is None:
            raise NotServedError(f"no stream was opened: {self.result.first_failure}")
        return {
            "streams": opened,
            "connect_us": 1e6 * self.used_seconds("opening", "open") / opened,
            "stream_kb": self.streams_bytes / 1024 / opened,
            "head_p50_ms": latency.p50,
            "head_p99_ms": latency.p99,
            **self.faults(),
        }

    def publishes(self) -> Figures:
        """Return what a publish cost, how long it took, and how many there were."""
        measured, latency = self.result.measured, self.result.answer_ms
        if latency is None or not measured.accepted:
            raise NotServedError(f"nothing was accepted: {self.result}")
        return {
            "accepted_per_second": measured.accepted / measured.seconds,
            "cpu_us": 1e6 * self.used_seconds("start", "end") / measured.accepted,
            "p50_ms": latency.p50,
            "p99_ms": latency.p99,
            "delivered": measured.delivered / measured.accepted,
            **self.faults(),
            **self.cores(),
        }

    def _holds(self) -> Figures:
        if not self.holds:
            return {}
        arrived, drained = self.holds["publishing"], self.holds["drained"]
        return {
            "arrival_hold_ms": 1e3 * arrived.most_seconds,
            "hold_ms": 1e3 * drained.longest_since(arrived),
        }


@dataclass(frozen=True)
class Stand:
    """Where servers are measured.

    Args:
        client: Puts the load on them.
        is_quick: Whether a first impression is enough.
    """

    client: Client
    is_quick: bool = False

    def measure(self, server: Server, load: Load, *, pinned: bool) -> Measurement:
        """Put a load on a server that runs.

        Args:
            server: The server.
            load: The load.
            pinned: Whether the server keeps to one core and the client to another one.
        """
        server_core, client_core = processes.cores_apart() if pinned else (None, None)
        if server_core is not None:
            processes.pin(server.pids(), server_core)
        cpu_seconds: dict[str, float] = {}
        stolen_seconds: dict[str, float] = {}
        holds: dict[str, Holds] = {}
        pss_bytes = [processes.pss_bytes(server.pids())]

        def look(mark: str) -> None:
            cpu_seconds[mark] = processes.cpu_seconds(server.pids())
            stolen_seconds[mark] = processes.stolen_seconds()
            # Not within what is measured: to ask takes a server some milliseconds.
            if mark in ("publishing", "drained") and (told := server.holds()):
                holds[mark] = told
            # Later a server has garbage of the events too, which is not a stream's.
            if mark == "start":
                pss_bytes.append(processes.pss_bytes(server.pids()))

        result = self.client.run(server.address, load, on_mark=look, core=client_core)
        before, after = pss_bytes
        return Measurement(result, cpu_seconds, stolen_seconds, after - before, holds)

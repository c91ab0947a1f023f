from typing import Any

from barestream.server.stalled_connections import StalledConnections
from fake_writer import FakeClock

SLOW_SECONDS = 30


class NoSocket:
    def fileno(self) -> int:
        # More than a process may have open: the kernel knows no such descriptor.
        return 1 << 30


class Transport:
    def __init__(self) -> None:
        self.pending_bytes = 0
        self.aborted = False

    def get_extra_info(self, _: str) -> NoSocket:
        return NoSocket()

    def get_write_buffer_size(self) -> int:
        return self.pending_bytes

    def abort(self) -> None:
        self.aborted = True


class Connection:
    def __init__(self, pending_bytes: int = 0, *, awaits_client: bool = True) -> None:
        self.transport = Transport()
        self.transport.pending_bytes = pending_bytes
        self.awaits_client = awaits_client
        self.drained = 0
        self.client = ("192.0.2.1", 1234)


def swept_for(seconds: int, *connections: Connection, before_each: Any = lambda: None) -> None:
    now = FakeClock()
    stalled = StalledConnections(set(connections), SLOW_SECONDS, now)
    for _ in range(0, seconds, 5):
        now.seconds += 5
        before_each()
        stalled.sweep()


def test_a_connection_whose_client_takes_nothing_is_cut() -> None:
    connection, idle = Connection(pending_bytes=100), Connection()
    swept_for(SLOW_SECONDS, connection, idle)
    assert not connection.transport.aborted
    swept_for(SLOW_SECONDS + 5, connection, idle)
    assert connection.transport.aborted
    assert not idle.transport.aborted


def test_a_connection_whose_client_takes_some_is_kept() -> None:
    connection = Connection(pending_bytes=100_000)

    def take() -> None:
        connection.transport.pending_bytes -= 1

    swept_for(300, connection, before_each=take)
    assert not connection.transport.aborted


def test_a_connection_whose_answer_is_refilled_between_two_sweeps_is_kept() -> None:
    connection = Connection(pending_bytes=100_000)

    def refill() -> None:
        connection.drained += 1

    swept_for(300, connection, before_each=refill)
    assert not connection.transport.aborted


def test_a_connection_whose_answer_is_still_being_written_is_kept() -> None:
    connection = Connection(pending_bytes=100, awaits_client=False)
    swept_for(300, connection)
    assert not connection.transport.aborted

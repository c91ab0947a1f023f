"""How many replicas must have an update before it counts as accepted."""

from typing import Any

from valkey.exceptions import ValkeyError

from barestream.history.broker import BrokerAwayError
from barestream.history.valkey.errors import refusal
from barestream.history.valkey.scripts import PREFIX

# How long a write may take: half of it until the replicas have read it, and half until they have it
# on their disks. An fsync takes a slow disk a tenth of a second. Publishes that come meanwhile
# wait, and get their answer within ANSWER_SECONDS, also if Valkey does not know the script: then a
# publish waits twice.
CONFIRM_SECONDS = 1.0

_CAUSE = "replicas"


class Copies:
    """Has writes confirmed by the primary and by a number of replicas.

    Args:
        replicas: How many replicas must have a write on the disk; 0 to ask nobody.

    Attributes:
        commands: What follows the commands of a write, in the same round trip. A write of its own
            comes first: WAITAOF waits for the last one of its connection, and what was sent again
            may have nothing to write. Then WAIT, which returns once the replicas have read it. A
            replica that was asked together with the write would say how far its disk was before
            the write, and say more only with its next report, up to a second later. The answer to
            WAIT does not count.
    """

    def __init__(self, replicas: int) -> None:
        self.replicas = replicas
        self.commands: tuple[tuple[bytes, ...], ...] = ()
        if replicas:
            count, half_ms = b"%d" % replicas, b"%d" % (1000 * CONFIRM_SECONDS / 2)
            self.commands = (
                (b"HSET", PREFIX + b"state", b"confirmed", b"1"),
                (b"WAIT", count, half_ms),
                (b"WAITAOF", b"1", count, half_ms),
            )

    @property
    def check(self) -> tuple[tuple[bytes, ...], ...]:
        """What a connection is asked before its first write: whether the server can confirm it."""
        return ((b"WAITAOF", b"1", b"0", b"0"),) if self.replicas else ()

    def cannot(self, answer: Any) -> BrokerAwayError | None:
        """Return the error for the answer to ``check``; None if the server can confirm writes."""
        if not (self.replicas and isinstance(answer, ValkeyError)):
            return None
        return refusal(answer) or BrokerAwayError(
            f"{answer}: BARESTREAM_BROKER_REPLICAS={self.replicas} needs the command WAITAOF; use "
            "Valkey, or Redis 7.2 or newer, with appendonly yes, or set it to 0",
            cause="WAITAOF",
            words="cannot confirm that replicas have an update",
            nothing_taken=True,
        )

    def shortfall(self, answers: list[Any]) -> BrokerAwayError | None:
        """Remove the answers to ``commands`` from the end of others.

        Returns:
            The error for the writes before them; None if the replicas have them.
        """
        if not self.commands:
            return None
        marked, _, confirmed = answers[-len(self.commands) :]
        del answers[-len(self.commands) :]
        for answer in (marked, confirmed):
            # Also a refusal comes after the writes.
            if isinstance(answer, ValkeyError):
                return self._unconfirmed(str(answer))
        on_primary, on_replicas = confirmed
        if on_primary and on_replicas >= self.replicas:
            return None
        return self._unconfirmed(
            f"within {CONFIRM_SECONDS / 2} s the disks of {on_replicas} replicas had the update, "
            f"and {'that' if on_primary else 'not that'} of the primary; "
            f"BARESTREAM_BROKER_REPLICAS={self.replicas}"
        )

    def _unconfirmed(self, why: str) -> BrokerAwayError:
        return BrokerAwayError(why, cause=_CAUSE, words="has too few replicas that confirm updates")

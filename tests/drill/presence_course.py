"""One run of the drill of presence and of revocation, and its report."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from compose import Stack
from drill.findings import Findings
from drill.presence import PresenceDrill
from drill.revoking import RevocationDrill
from drill.rollout import OVERLAY, removed
from support.clients.publisher import KEY

# All streams of an app that is replaced end evenly over this.
DRAIN_SECONDS = 10


@dataclass
class Report:
    """What was found, as text for people."""

    presence: Findings
    revocation: Findings

    @property
    def is_well(self) -> bool:
        """Whether all is as it must be."""
        return not (self.presence.faults or self.revocation.faults)

    def __str__(self) -> str:
        return f"Presence\n\n{self.presence}\n\nRevocation\n\n{self.revocation}"


def run_presence(users: int, seed: int, say: Callable[[str], None]) -> Report:
    """Bring the service up, and run the drill on it.

    Args:
        users: How many streams there are.
        seed: Of the random choices.
        say: Told how it goes.
    """
    say("bringing the containers up")
    stack = Stack(
        OVERLAY,
        token_key=KEY,
        workers=2,
        subscriptions="true",
        drain_seconds=DRAIN_SECONDS,
        # All users share Docker's own address.
        streams_per_address=2 * users,
        # 20,000 subscriptions have some 60,000 events when they begin, and as many when they end.
        history_events=400_000,
        history_topics=400_000,
        history_bytes=600_000_000,
        valkey_memory="2g",
    )
    loops = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with stack, removed(stack, "green"), loops as runner:
        presence = runner.run(PresenceDrill(stack, users, seed, say).run())
        return Report(presence, runner.run(RevocationDrill(stack, users, say).run()))

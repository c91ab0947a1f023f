"""The drill in small: every fault, while a hundred clients come and go."""

from collections.abc import Callable

import pytest

from drill.course import Plan, run
from drill.faults import FAULTS
from drill.report import summary, table

PLAN = Plan(clients=100, seconds=25, events_per_second=20, seed=20261122)


@pytest.mark.long
def test_no_event_is_lost_or_repeated_whatever_part_dies(figure: Callable[[str], None]) -> None:
    outcome = run(PLAN, print)
    found = f"{table(outcome)}\n\n{summary(outcome)}"
    figure(f"\n{found}")
    assert outcome.is_well, found
    assert [phase.fault for phase in outcome.phases[1:]] == [fault.name for fault in FAULTS]
    # Otherwise the faults have met no client.
    assert outcome.ledger.accepted.total() >= PLAN.seconds * PLAN.events_per_second / 2
    assert sum(each.returns for each in outcome.subscribers) >= PLAN.clients

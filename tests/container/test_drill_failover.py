"""The drill of a failover in small: the primary is killed under fifty clients."""

from collections.abc import Callable

import pytest

from drill.course import Plan
from drill.failover import KILLED, report, run_failover
from drill.failover_report import Findings
from drill.report import summary

PLAN = Plan(clients=50, seconds=10, events_per_second=20, seed=20261128, faults=(KILLED,))


@pytest.mark.long
def test_no_accepted_update_is_lost_when_another_valkey_becomes_the_primary(
    figure: Callable[[str], None],
) -> None:
    outcome = run_failover(PLAN, 1, print)
    findings = Findings(1, [report(outcome)])
    found = f"{findings.table()}\n\n{summary(outcome)}"
    figure(f"\n{found}")
    assert findings.is_well, found
    assert [phase.fault for phase in outcome.phases[1:]] == [KILLED.name]
    # Otherwise the failover has met no publish.
    assert outcome.ledger.accepted[1] > 0
    assert outcome.ledger.retried[1] > 0
    # Otherwise it was no failover.
    assert outcome.phases[1].chosen_at is not None

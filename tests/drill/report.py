"""The findings of a drill, as a table for people and as JSON for programs."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from drill.course import MOST_SECONDS, Outcome

HEADS = (
    "fault",
    "accepted",
    "lost",
    "twice",
    "out of order",
    "publishes retried",
    "slowest answer",
    "slowest acceptance",
    "longest silence",
    "all live after",
)

# Failures come in crowds; the first ones tell.
MOST_ACCOUNTS = 20


def table(outcome: Outcome) -> str:
    """Return a row for each fault, and one for them all."""
    lines = [_line(row) for row in (HEADS, ["---", *["---:"] * (len(HEADS) - 1)], *_rows(outcome))]
    return "\n".join(lines)


def _rows(outcome: Outcome) -> list[list[str]]:
    ledger, verdict = outcome.ledger, outcome.verdict
    counts = (ledger.accepted, verdict.lost, verdict.twice, verdict.disordered, ledger.retried)
    rows = [
        [
            phase.fault,
            *(str(count[nth]) for count in counts),
            f"{ledger.answer_seconds[nth]:.1f} s",
            f"{ledger.acceptance_seconds[nth]:.1f} s",
            f"{phase.silence_seconds:.1f} s",
            _seconds(phase.live_seconds),
        ]
        for nth, phase in enumerate(outcome.phases)
    ]
    longest = max(phase.silence_seconds for phase in outcome.phases)
    lives = [phase.live_seconds for phase in outcome.phases]
    slowest = None if None in lives else max(live for live in lives if live is not None)
    totals = (str(count.total()) for count in counts)
    answer, acceptance = (
        f"{max(seconds.values()):.1f} s"
        for seconds in (ledger.answer_seconds, ledger.acceptance_seconds)
    )
    last = f"{longest:.1f} s"
    return [*rows, ["total", *totals, answer, acceptance, last, _seconds(slowest)]]


def _seconds(live_seconds: float | None) -> str:
    return f"not in {MOST_SECONDS} s" if live_seconds is None else f"{live_seconds:.1f} s"


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def totals(outcome: Outcome) -> dict[str, int]:
    """Return what is counted over the whole run alone."""
    subscribers = outcome.subscribers
    return {
        "clients": len(subscribers),
        "dispatched": sum(len(each.numbers) for each in subscribers),
        "heartbeat events": sum(each.heartbeats for each in subscribers),
        "connections": sum(len(each.visits) for each in subscribers),
        "reconnects after an end": sum(each.returns for each in subscribers),
        "closed for ever": len(outcome.closed),
        "gaps": len(outcome.gaps),
        "publishes refused": len(outcome.ledger.refused),
        "unacknowledged, and in the log": outcome.verdict.unacknowledged,
        "unacknowledged, and not": sum(not post.accepted for post in outcome.ledger.posts)
        - outcome.verdict.unacknowledged,
    }


def summary(outcome: Outcome) -> str:
    """Return the totals, why publishes were retried, and the first failures each in a line."""
    sentence = ", ".join(f"{name}: {count}" for name, count in totals(outcome).items())
    whys = Counter(why for _, why in outcome.ledger.unsettled)
    unsettled = ", ".join(f"{why}: {count}" for why, count in whys.items())
    failures = [
        *outcome.verdict.accounts,
        *(f"closed for ever: {answer}" for answer in outcome.closed),
        *(f"gap: {gap}" for gap in outcome.gaps),
        *(f"refused: {answer}" for answer in outcome.ledger.refused),
    ]
    lag_seconds = max(phase.lag_seconds for phase in outcome.phases)
    held_up = f"The drill's own process was held up for {lag_seconds:.2f} s at most."
    lines = [
        f"{sentence}.",
        held_up,
        f"Publishes that were not accepted at once: {unsettled or 'none'}.",
    ]
    return "\n".join([*lines, *failures[:MOST_ACCOUNTS]])


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return all of it, with the course of each client that a failure tells of."""
    ledger, verdict = outcome.ledger, outcome.verdict
    failed = {account.partition(":")[0] for account in verdict.accounts}
    return {
        "well": outcome.is_well,
        "prompt": outcome.is_prompt,
        "plan": asdict(outcome.plan) | {"faults": [each.name for each in outcome.plan.faults]},
        "totals": totals(outcome),
        "phases": [
            {
                **asdict(each),
                "accepted": ledger.accepted[nth],
                "retried": ledger.retried[nth],
                "lost": verdict.lost[nth],
                "twice": verdict.twice[nth],
                "out_of_order": verdict.disordered[nth],
                "gone": verdict.gone[nth],
                "twice_after_gap": verdict.twice_after_gap[nth],
                "unreported": verdict.unreported[nth],
                "answer_seconds": ledger.answer_seconds[nth],
                "acceptance_seconds": ledger.acceptance_seconds[nth],
                "unsettled": Counter(why for phase, why in ledger.unsettled if phase == nth),
            }
            for nth, each in enumerate(outcome.phases)
        ],
        "failures": verdict.accounts,
        "closed": outcome.closed,
        "gaps": outcome.gaps,
        "refused": ledger.refused,
        "failed_clients": {
            f"client {nth}": {
                "habits": asdict(each.habits),
                "numbers": each.numbers,
                "gaps": [
                    [mark.index, mark.at, gap]
                    for mark, gap in zip(each.gap_marks, each.gaps, strict=True)
                ],
                "visits": [visit._asdict() for visit in each.visits],
            }
            for nth, each in enumerate(outcome.subscribers)
            if f"client {nth}" in failed
        },
    }

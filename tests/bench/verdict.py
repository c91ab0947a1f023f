"""Verdicts: what a comparison found of each figure, and whether this tree is dearer."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

from bench.comparison import Outcome
from bench.rounds import MOST_STOLEN
from bench.trial import Judged

# A cost of up to so many times the other one counts as not dearer: two runs of the same code differ
# by as much as 2 %, and with a higher limit three changes of 3 % each would go unnoticed.
MOST_RATIO = 1.03

# Faults of a server: a tree that does less work is cheaper, and that is no gain.
_FAULTS = ("failed", "lost", "twice", "out_of_order", "foreign", "refused")


class Row(NamedTuple):
    """A row of the table: one figure of both trees.

    Attributes:
        here: The median of the pairs of this tree.
        there: The other tree's.
        ratio: The median of the pairs' ratios, here to there: a pair has both in the same seconds,
            so its ratio is truer than that of two medians, which may be of different pairs.
        lowest: Of the rounds' ratios, each the median of its pairs', the lowest.
        highest: The highest of them.
    """

    judged: Judged
    here: float
    there: float
    ratio: float
    lowest: float
    highest: float

    @property
    def ratio_of_medians(self) -> float:
        """The ratio of the two medians; a machine whose speed wanders distorts it more."""
        return self.here / self.there

    @property
    def is_dearer(self) -> bool:
        """Whether it costs more than MOST_RATIO times as much, or a rate fell by as much."""
        return (1 / self.ratio if self.judged.more_is_better else self.ratio) > MOST_RATIO


def rows(outcome: Outcome) -> Iterator[Row]:
    """Yield a row for each judged figure; none where every pair has failed."""
    rounds = [pairs for pairs in outcome.rounds if pairs]
    if not rounds:
        return
    for judged in outcome.trial.judged:
        name = judged.figure
        pairs = [pair for of_round in rounds for pair in of_round]
        ratios = [
            median(pair.here[name] / pair.there[name] for pair in of_round) for of_round in rounds
        ]
        yield Row(
            judged,
            median(pair.here[name] for pair in pairs),
            median(pair.there[name] for pair in pairs),
            median(pair.here[name] / pair.there[name] for pair in pairs),
            min(ratios),
            max(ratios),
        )


def is_passed(outcomes: Sequence[Outcome]) -> bool:
    """Return whether no pair has failed, and nothing is dearer."""
    return not any(
        outcome.failures or any(row.is_dearer for row in rows(outcome)) for outcome in outcomes
    )


def table(outcomes: Sequence[Outcome], there: str) -> str:
    """Return the table of all, with what went wrong below it.

    Args:
        outcomes: What came of each trial.
        there: What the other tree is called.
    """
    heads = ["", "", "here", there, "of the medians", "ratio", "rounds", "verdict"]
    lines = [
        _line(heads),
        _line(["---", "---", *["---:"] * (len(heads) - 3), "---"]),
        *(_row(outcome.trial.name, row) for outcome in outcomes for row in rows(outcome)),
    ]
    notes = [note for outcome in outcomes for note in _notes(outcome, there)]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _row(trial: str, row: Row) -> str:
    form = row.judged.form
    if row.judged.more_is_better:
        good, bad = f"at least 1/{MOST_RATIO}", f"BELOW 1/{MOST_RATIO}"
    else:
        good, bad = f"at most {MOST_RATIO}", f"ABOVE {MOST_RATIO}"
    return _line(
        [
            trial,
            row.judged.what,
            form.format(row.here),
            form.format(row.there),
            f"{row.ratio_of_medians:.3f}",
            f"{row.ratio:.3f}",
            f"{row.lowest:.3f} to {row.highest:.3f}",
            bad if row.is_dearer else good,
        ]
    )


def _notes(outcome: Outcome, there: str) -> Iterator[str]:
    trial, pairs = outcome.trial, [pair for of_round in outcome.rounds for pair in of_round]
    if outcome.failures:
        first = outcome.failures[0].splitlines()[0]
        yield f"{trial.name}: pairs that failed: {len(outcome.failures)}; the first: {first}"
    for tree, of_tree in (
        ("here", [pair.here for pair in pairs]),
        (there, [pair.there for pair in pairs]),
    ):
        for fault in _FAULTS:
            if times := sum(figures.get(fault, 0) for figures in of_tree):
                yield f"{trial.name}: {times:,.0f} {fault.replace('_', ' ')} in {tree}"
    if worst := max((pair.stolen for pair in pairs if pair.stolen > MOST_STOLEN), default=0):
        yield f"{trial.name}: the machine's host took up to {worst:.0%} of a core"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def as_json(outcomes: Sequence[Outcome], there: str) -> dict[str, Any]:
    """Return all of it, each pair's figures too."""
    return {
        "against": there,
        "trials": {
            outcome.trial.name: {
                "rounds": [[pair._asdict() for pair in pairs] for pairs in outcome.rounds],
                "failures": outcome.failures,
            }
            for outcome in outcomes
        },
    }

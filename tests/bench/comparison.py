"""Comparisons: trials of two trees, pair by pair and round by round."""

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.rounds import MOST_STOLEN, STOLEN, Figures, Pace
from bench.trial import Trial


class Pair(NamedTuple):
    """The figures of both trees, measured once in the same seconds or one right after the other."""

    here: Figures
    there: Figures

    @property
    def stolen(self) -> float:
        """How many cores' time the host took meanwhile, in the worse of the two."""
        return max(figures.get(STOLEN, 0) for figures in self)


@dataclass
class Outcome:
    """The results of a trial.

    Attributes:
        trial: The trial.
        rounds: The pairs of each round.
        failures: The errors of pairs that failed.
    """

    trial: Trial
    rounds: list[list[Pair]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def is_here_first(round_: int, pair: int) -> bool:
    """Return whether this tree has the first turn: the order changes with each pair and round.

    A machine that becomes faster or slower favours one of the two turns, so each tree has both.
    """
    return (round_ + pair) % 2 == 0


def run(
    trials: Sequence[Trial],
    count: int,
    pair: Callable[[Trial, bool], Pair],
    say: Callable[[str], None],
    most_stolen: float = MOST_STOLEN,
) -> list[Outcome]:
    """Run each trial so many rounds, and return its outcome.

    A pair that the machine's host disturbed is measured once more at once, and the less disturbed
    of the two counts.

    Args:
        trials: The trials.
        count: How many rounds.
        pair: Runs a trial once; told whether this tree has the first turn.
        say: Called with a line of progress before each pair.
        most_stolen: From how many cores' time a pair was disturbed.
    """
    pace = Pace(count * sum(trial.pairs * trial.pair_seconds for trial in trials))
    outcomes = [Outcome(trial) for trial in trials]
    for round_ in range(count):
        for outcome in outcomes:
            trial = outcome.trial
            pairs: list[Pair] = []
            for nth in range(trial.pairs):
                place = f"pair {nth + 1} of {trial.pairs}, round {round_ + 1} of {count}"
                say(f"{pace.left()}: {trial.name}, {place}")
                is_first = is_here_first(round_, nth)
                measured = _measure(outcome, pair, is_first)
                if measured and measured.stolen > most_stolen:
                    say(f"once more, since the host took {measured.stolen:.0%}: {trial.name}")
                    again = _measure(outcome, pair, is_first) or measured
                    measured = min(measured, again, key=lambda each: each.stolen)
                if measured:
                    pairs.append(measured)
                pace.passed(trial.pair_seconds)
            outcome.rounds.append(pairs)
    return outcomes


def _measure(
    outcome: Outcome, pair: Callable[[Trial, bool], Pair], is_here_first: bool
) -> Pair | None:
    try:
        return pair(outcome.trial, is_here_first)
    # An error of one server must not end the other trials.
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        outcome.failures.append(f"{type(error).__name__}: {error}")
        return None

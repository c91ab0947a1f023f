"""Rounds: each job of a course in turn, again and again, and what came of each in the middle."""

import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

# What a job measured, by name.
Figures = dict[str, float]

# The name of a figure that a job may have: how many cores' time the machine's host took from it
# meanwhile, for other machines. It spoils latencies first.
STOLEN = "stolen_cores"

# From here on a job is done again; on a quiet machine it is 0.01 or 0.02.
MOST_STOLEN = 0.05


class Job(NamedTuple):
    """One measurement.

    Attributes:
        row: The row of the course's table that it is for.
        seconds: About how long it takes.
        run: Does it.
    """

    row: str
    seconds: float
    run: Callable[[], Figures]


class Column(NamedTuple):
    """A column of a course's table.

    Attributes:
        head: What stands above it.
        figure: The name of its figure.
        form: How that is written.
        against: The row that it is divided by, if it is a ratio.
    """

    head: str
    figure: str
    form: str
    against: str | None = None


class Table(NamedTuple):
    """A table of a course.

    Attributes:
        title: What stands above it.
        jobs: One for each row.
        columns: What it tells of each.
    """

    title: str
    jobs: Sequence[Job]
    columns: Sequence[Column]


@dataclass(frozen=True)
class Course:
    """What is measured together: the jobs of all its tables take turns."""

    name: str
    tables: Sequence[Table]

    @property
    def jobs(self) -> list[Job]:
        """All of them, each once: two tables may tell of the same ones."""
        return list({job.row: job for table in self.tables for job in table.jobs}.values())


@dataclass
class Row:
    """What came of a job.

    Attributes:
        rounds: Its figures, round by round.
        failures: Why there are none of a round.
    """

    rounds: list[Figures] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def medians(self) -> Figures:
        """Each figure's median, or nothing where there was no round."""
        return {name: median(each[name] for each in self.rounds) for name in self.names}

    @property
    def names(self) -> list[str]:
        """The names of its figures."""
        return list(self.rounds[0]) if self.rounds else []


Rows = dict[str, Row]


def run(
    courses: Sequence[Course],
    count: int,
    say: Callable[[str], None],
    most_stolen: float = MOST_STOLEN,
) -> dict[str, Rows]:
    """Run each course so many rounds, and return its rows by its name.

    A machine's speed wanders over minutes: so each round has every job once, and no job has its
    rounds one after the other. A job that the machine's host disturbed is done once more at the
    end of its round, and the less disturbed of the two counts.
    """
    left_seconds = count * sum(job.seconds for course in courses for job in course.jobs)
    pace = Pace(left_seconds)
    found: dict[str, Rows] = {}
    for course in courses:
        rows = found[course.name] = {job.row: Row() for job in course.jobs}
        for nth in range(count):
            taken: dict[str, Figures | None] = {}
            for job in course.jobs:
                say(f"{pace.left()}: {course.name}, round {nth + 1} of {count}: {job.row}")
                taken[job.row] = _take(job, rows[job.row])
                pace.passed(job.seconds)
            for job in course.jobs:
                first = taken[job.row]
                if first and _stolen(first) > most_stolen:
                    say(f"once more, since the host took {_stolen(first):.0%}: {job.row}")
                    again = _take(job, rows[job.row]) or first
                    taken[job.row] = min(first, again, key=_stolen)
            for row, figures in taken.items():
                if figures:
                    rows[row].rounds.append(figures)
    return found


def _stolen(figures: Figures) -> float:
    return figures.get(STOLEN, 0)


def _take(job: Job, row: Row) -> Figures | None:
    try:
        return job.run()
    # A server that fails fails its own row, and not an hour's work.
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        row.failures.append(f"{type(error).__name__}: {error}")
        return None


class Pace:
    """How much is left, by how long it was to take and how long it took so far."""

    def __init__(self, seconds: float) -> None:
        self._planned_seconds = seconds
        self._done_seconds = 0.0
        self._began_at = time.monotonic()

    def passed(self, seconds: float) -> None:
        """Count what was to take so long as done."""
        self._done_seconds += seconds

    def left(self) -> str:
        """Return how much is left, for people."""
        spent_seconds = time.monotonic() - self._began_at
        pace = spent_seconds / self._done_seconds if self._done_seconds else 1
        minutes, seconds = divmod(round(pace * (self._planned_seconds - self._done_seconds)), 60)
        return f"{minutes}:{seconds:02} left"

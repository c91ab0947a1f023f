"""What a run found, as tables for people and as JSON for programs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.rounds import MOST_STOLEN, STOLEN, Column, Course, Row, Rows, Table

MISSING = "-"


def tables(courses: Sequence[Course], found: Mapping[str, Rows]) -> str:
    """Return the tables of each course."""
    return "\n\n".join(
        _table(table, found[course.name]) for course in courses for table in course.tables
    )


def _table(table: Table, of_course: Rows) -> str:
    rows = {job.row: of_course[job.row] for job in table.jobs}
    heads = ["", *(column.head for column in table.columns)]
    lines = [
        f"**{table.title}**",
        "",
        _line(heads),
        _line(["---", *["---:"] * len(table.columns)]),
        *(
            _line([name, *(_cell(column, row, rows) for column in table.columns)])
            for name, row in rows.items()
        ),
        *_failures(rows),
        *_disturbances(rows),
    ]
    return "\n".join(lines)


def _failures(rows: Rows) -> Iterator[str]:
    failed = {name: row.failures for name, row in rows.items() if row.failures}
    if failed:
        yield ""
    for name, failures in failed.items():
        first = failures[0].splitlines()[0]
        yield f"{name} failed in {len(failures)} of {row_count(rows[name])} rounds: {first}"


def _disturbances(rows: Rows) -> Iterator[str]:
    stolen = {
        name: max(each.get(STOLEN, 0) for each in row.rounds)
        for name, row in rows.items()
        if row.rounds
    }
    worst = max(stolen, key=stolen.__getitem__, default="")
    if stolen and stolen[worst] > MOST_STOLEN:
        yield ""
        yield f"The machine's host took up to {stolen[worst]:.0%} of a core from it ({worst})."


def row_count(row: Row) -> int:
    """Return how many rounds there were."""
    return len(row.rounds) + len(row.failures)


def _cell(column: Column, row: Row, rows: Rows) -> str:
    value = ratio_or_value(column, row, rows)
    return MISSING if value is None else column.form.format(value)


def ratio_or_value(column: Column, row: Row, rows: Rows) -> float | None:
    """Return what stands in a row's column, or None where it has none."""
    value = row.medians.get(column.figure)
    if column.against is None or value is None:
        return value
    against = rows[column.against].medians.get(column.figure) if column.against in rows else None
    return value / against if against else None


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def as_json(
    machine: Mapping[str, str], courses: Sequence[Course], found: Mapping[str, Rows]
) -> dict[str, Any]:
    """Return all of it, each round's figures too."""
    return {
        "machine": machine,
        "courses": {
            course.name: {
                name: {
                    "medians": row.medians,
                    "rounds": row.rounds,
                    "failures": row.failures,
                }
                for name, row in found[course.name].items()
            }
            for course in courses
        },
    }

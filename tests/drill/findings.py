"""What a drill has found, as text for people."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Findings:
    """What was found.

    Attributes:
        table: A row for each thing that was done.
        counts: What else was counted, and how many.
        faults: What is not as it must be.
    """

    table: str = ""
    counts: list[tuple[str, object]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def expect(self, what: str, found: object, wanted: object) -> None:
        """Note a count, which must be as it is wanted."""
        self.counts.append((what, found))
        if found != wanted:
            self.faults.append(f"{what}: {found}, not {wanted}")

    def __str__(self) -> str:
        counts = "\n".join(f"- {what}: {count}" for what, count in self.counts)
        return f"{self.table}\n\n{counts}\n\n" + "\n".join(self.faults or ["All is well."])


def markdown(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)

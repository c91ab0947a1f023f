"""``python tests/observability``: print what each panel of the board shows of a hub in use."""

import asyncio
import sys
from pathlib import Path

# What pytest has on its path, for a program that needs no more than an interpreter.
TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(folder) for folder in (TESTS.parent / "src", TESTS)]

from support.servers.dashboard import Query, answers, queries  # noqa: E402
from support.servers.prometheus import Prometheus  # noqa: E402
from support.servers.watched import RATE_SECONDS, watched  # noqa: E402

_LINE = "{:<26.26}  {:<44.44}  {:<42.42}  {:>14}  {}"


async def main() -> None:
    """Run the instances, and print a line for each line of each panel."""
    async with watched() as hub:
        lines = await asyncio.to_thread(lambda: [*table(hub.prometheus)])
    print("\n".join(lines))


def table(prometheus: Prometheus) -> list[str]:
    """Return the lines of the table."""
    lines = [_LINE.format("row", "panel", "line", "value", "unit")]
    for query in queries():
        lines += [
            line(query, name, value) for name, value in answers(prometheus, query, RATE_SECONDS)
        ]
    return lines


def line(query: Query, name: str, value: float) -> str:
    """Return the line of the table for a line of a panel."""
    return _LINE.format(query.row, query.panel, name, f"{value:,.6g}", query.unit)


asyncio.run(main())

"""Printed output beside the real one. Pure."""

import re


def _normal(line: str) -> str:
    """Return a line without what differs from run to run: its digits, and spaces at its end."""
    return re.sub(r"\d+", "0", line.rstrip())


def missing_lines(shown: str, real: str) -> list[str]:
    """Return the printed lines that the real output does not have, in the printed order.

    Any digits stand for any others, and "…" for any text of a line. The real output may have
    further lines between them.

    Args:
        shown: As the manual prints it.
        real: As the program wrote it.
    """
    rest = [_normal(line) for line in real.splitlines()]
    wanted = [_normal(line) for line in shown.splitlines() if line.strip()]
    for at, line in enumerate(wanted):
        pattern = re.compile(".*".join(map(re.escape, line.split("…"))))
        position = next((n for n, each in enumerate(rest) if pattern.fullmatch(each)), None)
        if position is None:
            return wanted[at:]
        rest = rest[position + 1 :]
    return []


def commands(text: str) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with the output that is printed below it."""
    parts = re.split(r"(?m)^\$ ", text)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]

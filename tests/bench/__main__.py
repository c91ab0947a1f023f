"""``python tests/bench``: run it, and print its tables."""

import argparse
import json
import math
import sys
from pathlib import Path

# What pytest has on its path, for a program that needs no more than an interpreter.
TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(folder) for folder in (TESTS.parent / "src", TESTS)]

from bench import machine, plot, report, rounds  # noqa: E402
from bench.client import Client  # noqa: E402
from bench.courses import COURSES, QUICK  # noqa: E402
from bench.cross_check import cross_check  # noqa: E402
from bench.measurement import Stand  # noqa: E402
from bench.servers.cache import MissingError  # noqa: E402

CACHE = Path(__file__).resolve().parent / ".cache"

ROUNDS = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=COURSES,
        metavar="COURSE",
        help=f"of {', '.join(COURSES)}; quick: {', '.join(QUICK)}",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default {ROUNDS}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write each round's figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them, as SVG")
    parser.add_argument(
        "--cross-check", action="store_true", help="count bytes beside h2load, and nothing else"
    )
    options = parser.parse_args()
    try:
        return run(options)
    except MissingError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    """Do what was asked for, and return the exit code."""
    stand = Stand(Client(CACHE), options.quick)
    if options.cross_check:
        check = cross_check(stand.client)
        print(check)
        return 0 if check.agrees else 1
    names = options.only or (QUICK if options.quick else COURSES)
    courses = [COURSES[name](stand, CACHE) for name in names]
    count = options.rounds or (1 if options.quick else ROUNDS)
    # On a busy host each row would be done again: a first impression does not wait for that.
    most_stolen = math.inf if options.quick else rounds.MOST_STOLEN
    found = rounds.run(courses, count, say, most_stolen)
    about = machine.describe(CACHE)
    print(", ".join(f"{name} {value}" for name, value in about.items()), end="\n\n")
    print(report.tables(courses, found))
    found_all = report.as_json(about, courses, found)
    if options.json:
        options.json.write_text(json.dumps(found_all, indent=1) + "\n")
    if options.plot:
        options.plot.write_text(plot.draw(found_all))
    return 1 if any(row.failures for rows in found.values() for row in rows.values()) else 0


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

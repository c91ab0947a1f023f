"""``python tests/bench``: run it, and print its tables."""

import argparse
import json
import math
import sys
from pathlib import Path

# What pytest has on its path, for a program that needs no more than an interpreter.
TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(folder) for folder in (TESTS.parent / "src", TESTS)]

from bench import comparison, machine, plot, report, rounds, verdict  # noqa: E402
from bench.client import Client  # noqa: E402
from bench.courses import COURSES, QUICK, TRIALS  # noqa: E402
from bench.cross_check import cross_check  # noqa: E402
from bench.measurement import Stand  # noqa: E402
from bench.servers import HERE, KEYS, Peers, Tree  # noqa: E402
from bench.servers.cache import MissingError  # noqa: E402
from bench.trial import Trial  # noqa: E402

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
    parser.add_argument(
        "--against",
        metavar="COMMIT",
        help="compare this tree with a commit, by turns; exit 1 where something costs more than "
        f"{verdict.MOST_RATIO} times as much; of {', '.join(TRIALS)}",
    )
    parser.add_argument(
        "--mercure", type=Path, metavar="PATH", help="the program of Mercure's hub, built by hand"
    )
    parser.add_argument(
        "--without",
        nargs="+",
        default=(),
        choices=KEYS,
        metavar="PEER",
        help=f"leave out, of {', '.join(KEYS)}",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default {ROUNDS}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write each round's figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them, as SVG")
    parser.add_argument(
        "--cross-check", action="store_true", help="count bytes beside h2load, and nothing else"
    )
    options = parser.parse_args()
    is_comparison = options.against is not None
    if is_comparison and (left_out := set(options.only or ()) - set(TRIALS)):
        parser.error(f"--against has no {', '.join(sorted(left_out))}, but {', '.join(TRIALS)}")
    try:
        return compare(options) if is_comparison else run(options)
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
    peers = Peers(CACHE, options.mercure, frozenset(options.without))
    left_out = ", ".join(peers.left_out())
    if left_out:
        say(f"left out: {left_out}")
    names = options.only or (QUICK if options.quick else COURSES)
    courses = [COURSES[name](stand, peers) for name in names]
    found = rounds.run(courses, rounds_of(options), say, most_stolen(options))
    about = {**machine.describe(), **peers.versions()}
    if left_out:
        about["left out:"] = left_out
    introduce(about)
    print(report.tables(courses, found))
    found_all = report.as_json(about, courses, found)
    if options.json:
        options.json.write_text(json.dumps(found_all, indent=1) + "\n")
    if options.plot:
        options.plot.write_text(plot.draw(found_all))
    return 1 if any(row.failures for rows in found.values() for row in rows.values()) else 0


def compare(options: argparse.Namespace) -> int:
    """Compare this tree with a commit, and return the exit code."""
    stand = Stand(Client(CACHE), options.quick)
    there = Tree.of_commit(options.against, CACHE)
    trials = [trial for name in options.only or TRIALS for trial in TRIALS[name](stand)]

    def pair(trial: Trial, is_here_first: bool) -> comparison.Pair:
        if is_here_first:
            return comparison.Pair(*trial.pair(stand, HERE, there))
        of_there, of_here = trial.pair(stand, there, HERE)
        return comparison.Pair(of_here, of_there)

    outcomes = comparison.run(trials, rounds_of(options), pair, say, most_stolen(options))
    about = machine.describe()
    introduce(about)
    print(verdict.table(outcomes, there.name))
    if options.json:
        found = {"machine": about, **verdict.as_json(outcomes, there.name)}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if verdict.is_passed(outcomes) else 1


def rounds_of(options: argparse.Namespace) -> int:
    """Return how many rounds are to be run."""
    return options.rounds or (1 if options.quick else ROUNDS)


def most_stolen(options: argparse.Namespace) -> float:
    """Return from how many stolen cores on something is measured again."""
    # On a busy host all of it would be: a first impression does not wait for that.
    return math.inf if options.quick else rounds.MOST_STOLEN


def introduce(about: dict[str, str]) -> None:
    """Print where, when and with what it was measured."""
    print(", ".join(f"{name} {value}" for name, value in about.items()), end="\n\n")


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""``python tests/drill``: run it, print its table, and exit with 1 where anything went wrong."""

import argparse
import json
import random
import resource
import sys
from pathlib import Path
from typing import Any

# What pytest has on its path, for a program that needs no more than an interpreter.
TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(folder) for folder in (TESTS.parent / "src", TESTS, TESTS / "container")]

from drill.course import Plan, run  # noqa: E402
from drill.failover import FAULTS as FAILOVERS  # noqa: E402
from drill.failover import report, run_failover  # noqa: E402
from drill.failover_report import Findings  # noqa: E402
from drill.presence_course import run_presence  # noqa: E402
from drill.report import as_json, summary, table  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="drill")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--events-per-second", type=float, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was found")
    parser.add_argument("--of", choices=("delivery", "presence", "failover"), default="delivery")
    of_failovers = parser.add_argument_group("the drill of a failover")
    of_failovers.add_argument("--runs", type=int, default=1, help="how often each fault happens")
    of_failovers.add_argument(
        "--replicas",
        type=int,
        nargs="+",
        default=[1, 0],
        help="the values of BARESTREAM_BROKER_REPLICAS, one after the other",
    )
    options = parser.parse_args()
    # A file for each client.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.of == "presence":
        return presence(options)
    if options.of == "failover":
        return failover(options)
    plan = Plan(options.clients, options.seconds, options.events_per_second, options.seed)
    outcome = run(plan, say)
    print(f"{plan.clients} clients, {plan.events_per_second:g} events/s, seed {plan.seed}\n")
    print(table(outcome), summary(outcome), sep="\n\n")
    if options.json:
        options.json.write_text(json.dumps(as_json(outcome), indent=1) + "\n")
    return 0 if outcome.is_well and outcome.is_prompt else 1


def presence(options: argparse.Namespace) -> int:
    """Run the drill of presence and of revocation."""
    found = run_presence(options.clients, options.seed, say)
    print(f"{options.clients} users, seed {options.seed}\n")
    print(found)
    return 0 if found.is_well else 1


def failover(options: argparse.Namespace) -> int:
    """Run the drill of a failover, with each number of replicas that confirm updates."""
    found: list[Findings] = []
    written: list[dict[str, Any]] = []
    for replicas in options.replicas:
        runs = []
        for nth in range(options.runs):
            size = (options.clients, options.seconds, options.events_per_second)
            plan = Plan(*size, options.seed + nth, FAILOVERS)
            say(f"run {nth + 1} of {options.runs}, BARESTREAM_BROKER_REPLICAS={replicas}")
            outcome = run_failover(plan, replicas, say)
            runs.append(report(outcome))
            written.append({"replicas": replicas} | as_json(outcome))
            print(summary(outcome), end="\n\n", flush=True)
            if options.json:
                options.json.write_text(json.dumps(written, indent=1) + "\n")
        found.append(Findings(replicas, runs))
        print(f"{options.clients} clients, {options.events_per_second:g} events/s, ", end="")
        print(f"seed {options.seed}, {options.runs} runs, ", end="")
        print(f"BARESTREAM_BROKER_REPLICAS={replicas}\n\n{found[-1].table()}\n", flush=True)
    return 0 if all(each.is_well for each in found) else 1


def say(text: str) -> None:
    """Tell how it goes."""
    print(f"drill: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

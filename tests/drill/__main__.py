"""``python tests/drill``: run it, print its table, and exit with 1 where anything went wrong."""

import argparse
import json
import random
import resource
import sys
from pathlib import Path

# What pytest has on its path, for a program that needs no more than an interpreter.
TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(folder) for folder in (TESTS.parent / "src", TESTS, TESTS / "container")]

from drill.course import Plan, run  # noqa: E402
from drill.failover import FAULTS as FAILOVERS  # noqa: E402
from drill.failover import is_well, run_failover  # noqa: E402
from drill.failover import table as failover_table  # noqa: E402
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
    """Run the drill of a failover, with updates that a replica confirms and without."""
    size = (options.clients, options.seconds, options.events_per_second, options.seed)
    plan = Plan(*size, FAILOVERS)
    outcomes = []
    for replicas in (1, 0):
        outcome = run_failover(plan, replicas, say)
        outcomes.append(outcome)
        print(f"{plan.clients} clients, {plan.events_per_second:g} events/s, ", end="")
        print(f"seed {plan.seed}, BARESTREAM_BROKER_REPLICAS={replicas}\n")
        print(failover_table(outcome), summary(outcome), sep="\n\n", end="\n\n", flush=True)
    # Without a confirmation a failover may lose updates.
    return 0 if is_well(outcomes[0]) else 1


def say(text: str) -> None:
    """Tell how it goes."""
    print(f"drill: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

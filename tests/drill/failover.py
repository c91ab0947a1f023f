"""The drill of a failover: Valkeys and sentinels fail, one after the other, on deploy/ha.yml."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from compose import ROOT, Stack
from drill.course import Outcome, Plan, run
from drill.faults import Fault
from support.clients.publisher import KEY
from support.servers.docker_cli import docker
from support.servers.service import wait_for

SERVERS = ("valkey", "valkey-2", "valkey-3")
SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")

# The sentinels take 5 s to notice that a server is away, and some seconds to agree.
MOST_SECONDS = 120

# How long each sentinel is away before the next one.
SENTINEL_SECONDS = 3

HEADS = (
    *("fault", "accepted", "accepted, and lost", "twice", "out of order", "gaps sent"),
    *("publishes retried", "slowest acceptance", "all live after"),
)


def _named(stack: Stack, sentinel: str) -> str:
    """Return which server a sentinel names as the primary; empty if it does not answer."""
    ask = "timeout 2 sentinel-start cli sentinel get-master-addr-by-name barestream"
    return stack.exec(sentinel, "sh", "-c", ask).stdout.partition("\n")[0]


def primary(stack: Stack) -> str:
    """Return the service that most sentinels name as the primary."""
    [(name, _)] = Counter(_named(stack, each) for each in SENTINELS).most_common(1)
    assert name in SERVERS, name
    return name


def _is_whole(stack: Stack) -> bool:
    """Return whether each server but the primary is its replica, and has all of it."""
    ask = "valkey-start cli info replication"
    states = [stack.exec(each, "sh", "-c", ask).stdout for each in SERVERS]
    linked = sum("master_link_status:up" in each for each in states)
    named = [_named(stack, each) for each in SENTINELS]
    return linked == len(SERVERS) - 1 and len({*named}) == 1


@contextmanager
def _without_primary(stack: Stack) -> Iterator[str]:
    """Do something to the primary that lasts until the sentinels have named another one."""
    before = primary(stack)
    yield before
    wait_for("a failover", lambda: _named(stack, SENTINELS[0]) not in ("", before), MOST_SECONDS)


def kill_primary(stack: Stack) -> None:
    """Kill the primary, and start it again once another one has its place."""
    with _without_primary(stack) as before:
        stack.kill(before, "KILL")
    stack.start(before)
    _await_whole(stack)


def pause_primary(stack: Stack) -> None:
    """Stop the processes of the primary where they are."""
    with _without_primary(stack) as before:
        stack.run("pause", before)
    stack.run("unpause", before)
    _await_whole(stack)


def cut_off_primary(stack: Stack) -> None:
    """Take the primary off the network: its own processes go on."""
    with _without_primary(stack) as before:
        container = stack.inspect(before)["Id"]
        docker("network", "disconnect", "--force", stack.network, container)
    docker("network", "connect", "--alias", before, stack.network, container)
    _await_whole(stack)


def restart_all(stack: Stack) -> None:
    """Restart all Valkeys at once."""
    done = stack.run("restart", *SERVERS)
    assert done.returncode == 0, done.stderr
    _await_whole(stack)


def lose_sentinels(stack: Stack) -> None:
    """Stop the sentinels one by one, and start them again."""
    for each in SENTINELS:
        stack.stop(each)
        time.sleep(SENTINEL_SECONDS)
    stack.start(*SENTINELS)
    _await_whole(stack)


def _await_whole(stack: Stack) -> None:
    wait_for("two replicas that have all", lambda: _is_whole(stack), MOST_SECONDS)


FAULTS = (
    Fault("primary killed with -9", kill_primary),
    Fault("primary paused (SIGSTOP)", pause_primary),
    Fault("primary cut off the network", cut_off_primary),
    Fault("all Valkeys restarted", restart_all),
    Fault("sentinels stopped one by one", lose_sentinels),
)


def run_failover(plan: Plan, replicas: int, say: Callable[[str], None]) -> Outcome:
    """Bring deploy/ha.yml up, and run the faults of a plan on it.

    Args:
        plan: How large it is.
        replicas: BARESTREAM_BROKER_REPLICAS.
        say: Told how it goes.
    """
    stack = Stack(
        ROOT / "deploy/ha.yml",
        token_key=KEY,
        workers=2,
        streams_per_address=2 * plan.clients,
        heartbeat_seconds=0.5,
        broker_replicas=replicas,
    )
    return run(plan, say, stack)


def table(outcome: Outcome) -> str:
    """Return a row for each fault."""
    ledger, verdict = outcome.ledger, outcome.verdict
    kept = {*outcome.log.numbers}
    lost = Counter(post.phase for post in ledger.posts if post.accepted and post.number not in kept)
    lines = [HEADS, ("---", *["---:"] * (len(HEADS) - 1))]
    for nth, phase in enumerate(outcome.phases):
        live = phase.live_seconds
        lines.append(
            (
                phase.fault,
                *(str(count[nth]) for count in (ledger.accepted, lost)),
                *(str(count[nth]) for count in (verdict.twice, verdict.disordered)),
                *(str(phase.gaps), str(ledger.retried[nth])),
                f"{ledger.acceptance_seconds[nth]:.1f} s",
                "not in time" if live is None else f"{live:.1f} s",
            )
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def is_well(outcome: Outcome) -> bool:
    """Return whether nothing was lost or sent out of order, and all clients came back.

    Nor may anything come twice, unless its stream may have got a gap before: an update that was not
    accepted, and that the earlier primary took with it, comes again when its publisher sends it
    again.
    """
    verdict = outcome.verdict
    twice = sum(verdict.twice[nth] for nth, each in enumerate(outcome.phases) if not each.gaps)
    came_back = all(phase.live_seconds is not None for phase in outcome.phases)
    faults = verdict.lost.total() + verdict.disordered.total() + twice
    return came_back and not (faults or outcome.closed or outcome.ledger.refused)

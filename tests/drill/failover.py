"""The drill of a failover: Valkeys and sentinels fail, one after the other, on deploy/ha.yml."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from ipaddress import IPv4Address
from pathlib import Path

from compose import ROOT, Stack
from drill.course import Outcome, Plan, run
from drill.failover_report import Row, Run
from drill.faults import Fault
from drill.following import readers_seconds, writers_seconds
from drill.publishing import QUIET
from support.clients.publisher import KEY
from support.servers.docker_cli import docker
from support.servers.service import wait_for

SERVERS = ("valkey", "valkey-2", "valkey-3")
SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")

# The server whose disk can be filled (small_disk.yml): the first primary.
SMALL = "valkey"

# The first line of a failover that says which server is the next primary; from then on the sentinel
# that writes it names that server.
CHOICE = " +promoted-slave "

# The sentinels take 5 s to notice that a server is away, and some seconds to agree.
MOST_SECONDS = 120

# Less than min-replicas-max-lag in deploy/valkey-start.
UNREPLICATED_SECONDS = 1.5

# How long each sentinel is away before the next one.
SENTINEL_SECONDS = 3


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


def fill_disk(stack: Stack) -> None:
    """Fill the disk of the primary, and free it once another one has its place."""
    with _without_primary(stack) as before:
        assert before == SMALL, f"the primary is {before}, and {SMALL} has the disk to fill"
        done = stack.exec(f"{SMALL}-disk", "sh", "-c", "cat /dev/zero >/data/full")
        assert "No space left" in done.stderr, done.stderr
    done = stack.exec(f"{SMALL}-disk", "rm", "/data/full")
    assert done.returncode == 0, done.stderr
    # Docker waits longer after each end of a container before it starts it again.
    done = stack.run("restart", before)
    assert done.returncode == 0, done.stderr
    _await_whole(stack)


def kill_primary(stack: Stack) -> None:
    """Kill the primary, and start it again once another one has its place."""
    with _without_primary(stack) as before:
        stack.kill(before, "KILL")
    stack.start(before)
    _await_whole(stack)


def kill_unreplicated(stack: Stack) -> None:
    """Cut the replicas off, and kill the primary before it refuses updates for that."""
    containers = {each: stack.inspect(each) for each in SERVERS}

    def address(service: str) -> IPv4Address:
        networks = containers[service]["NetworkSettings"]["Networks"]
        return IPv4Address(networks[stack.network]["IPAddress"])

    stand_in = f"{stack.project}-stand-in"
    try:
        with _without_primary(stack) as before:
            for each in {*SERVERS} - {before}:
                docker("network", "disconnect", "--force", stack.network, containers[each]["Id"])
            time.sleep(UNREPLICATED_SECONDS)
            stack.kill(before, "KILL")
            # Docker gives the lowest address that is free. With that of the primary a replica would
            # be taken for it, so something that does not listen gets that one.
            for each in sorted(SERVERS, key=address):
                if each == before:
                    idle = ("--entrypoint", "sleep", "valkey/valkey:8", "infinity")
                    network = ("--network", stack.network)
                    docker("run", "--detach", "--name", stand_in, *network, *idle)
                else:
                    _connect(stack, each, containers[each]["Id"])
    finally:
        docker("rm", "--force", stand_in)
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
    _connect(stack, before, container)
    _await_whole(stack)


def _connect(stack: Stack, service: str, container: str) -> None:
    docker("network", "connect", "--alias", service, stack.network, container)


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


def _chosen_at(stack: Stack, since: float) -> float | None:
    """Return when the sentinels first chose another primary; None if they did not.

    Args:
        since: From when on, of time.time.
    """
    containers = [stack.inspect(each)["Id"] for each in SENTINELS]
    written = "".join(docker("logs", "--timestamps", each) for each in containers)
    moments = (line.partition(" ")[0] for line in written.splitlines() if CHOICE in line)
    chosen_at = (datetime.fromisoformat(moment).timestamp() for moment in moments)
    first = min((moment for moment in chosen_at if moment > since), default=None)
    return None if first is None else first - time.time() + time.monotonic()


def _fault(name: str, strike: Callable[[Stack], None]) -> Fault:
    def struck(stack: Stack) -> float | None:
        since = time.time()
        strike(stack)
        return _chosen_at(stack, since)

    return Fault(name, struck)


KILLED = _fault("primary killed with -9", kill_primary)

FAULTS = (
    # First: later another server is the primary.
    _fault("the primary's disk full", fill_disk),
    KILLED,
    _fault("primary killed with updates of its own", kill_unreplicated),
    _fault("primary paused (SIGSTOP)", pause_primary),
    _fault("primary cut off the network", cut_off_primary),
    _fault("all Valkeys restarted", restart_all),
    _fault("sentinels stopped one by one", lose_sentinels),
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
        Path(__file__).parent / "small_disk.yml",
        token_key=KEY,
        workers=2,
        streams_per_address=2 * plan.clients,
        heartbeat_seconds=0.5,
        broker_replicas=replicas,
    )
    return run(plan, say, stack)


def report(outcome: Outcome) -> Run:
    """Return the findings of a run."""
    rows = [_row(outcome, nth) for nth in range(len(outcome.phases))]
    return Run(rows, [*outcome.closed, *outcome.ledger.refused])


def _row(outcome: Outcome, nth: int) -> Row:
    phase, ledger, verdict = outcome.phases[nth], outcome.ledger, outcome.verdict
    row = Row(
        phase.fault,
        accepted=ledger.accepted[nth],
        lost=verdict.gone[nth],
        twice=verdict.twice[nth],
        twice_after_gap=verdict.twice_after_gap[nth],
        disordered=verdict.disordered[nth],
        gaps=phase.gaps,
        unreported=verdict.unreported[nth],
        retried=ledger.retried[nth],
        acceptance_seconds=ledger.acceptance_seconds[nth],
        live_seconds=phase.live_seconds,
    )
    if phase.chosen_at is None:
        return row
    return replace(
        row,
        writers_seconds=writers_seconds(ledger.posts, nth, phase.chosen_at),
        # Those of quiet topics wait for up to two seconds for their next event.
        readers_seconds=readers_seconds(
            [each for each in outcome.subscribers if not {*QUIET}.issuperset(each.habits.topics)],
            phase.chosen_at,
        ),
    )

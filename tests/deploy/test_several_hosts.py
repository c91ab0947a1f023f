"""Two VMs on one Valkey, behind HAProxy: what one host goes through, no viewer notices."""

from collections.abc import Callable, Iterator

import pytest

from checkout import Checkout
from fleet import STREAMS, Fleet, bridge, table
from operating import Operator
from support.clients.publisher import KEY
from support.servers.balancer import DEAD_SECONDS, Balancer
from support.servers.docker_cli import docker
from support.servers.service import wait_for
from support.servers.valkey_server import ValkeyServer
from vm import Vm

# What HAProxy logs then, and when the host answers again.
DOWN = "Server hosts/host2 is DOWN"
UP = "Server hosts/host2 is UP"


@pytest.fixture(scope="module")
def fleet(docker_runs: None) -> Iterator[Fleet]:  # noqa: ARG001 (first of all)
    """Return two bare VMs behind HAProxy."""
    with (
        Checkout() as checkout,
        ValkeyServer() as valkey,
        Vm() as first,
        Vm() as second,
        Balancer("haproxy", [(vm.own_address, 80) for vm in (first, second)], {}) as balancer,
    ):
        valkey.ask("CONFIG", "SET", "bind", f"127.0.0.1 {bridge()}")
        yield Fleet(checkout, [first, second], valkey, balancer)


@pytest.mark.long
def test_two_commands_bring_two_bare_vms_to_serving_from_one_valkey(
    fleet: Fleet, figure: Callable[[str], None]
) -> None:
    provisioned, rolled_out = fleet.set_up()
    figure(f"\n{provisioned}\n{rolled_out}")
    first, second = fleet.targets
    assert f"changed: /opt/barestream/.env: the settings of {first}" in provisioned
    assert [row[1] for row in table(rolled_out).values()] == ["rolled out"] * 2
    # The image is built for the first host, and neither host has a Valkey.
    for vm in fleet.vms:
        names = vm.console("docker ps --all --format '{{.Names}}'").split()
        assert sorted(names) == ["barestream-blue-1", "barestream-nginx-1"]
        assert vm.console("docker image ls --quiet valkey/valkey") == ""
    assert "history of this VM is not on it" in fleet.vms[0].deploy("backup").stderr
    status = fleet.must("status")
    assert status.count("Valkey answers") == 2
    assert second in status


@pytest.mark.long
def test_no_viewer_notices_a_rollout_over_both_hosts(
    fleet: Fleet, figure: Callable[[str], None]
) -> None:
    version = fleet.checkout.version("src/barestream/__main__.py", '"""', '"""Another: ')
    with fleet.viewers() as viewers:
        said = fleet.must("rollout", version)
        report = viewers.leave()
    figure(f"\n{said}\n{report}")
    assert fleet.serving() == [version] * 2
    assert [row[:2] for row in table(said).values()] == [[version, "rolled out"]] * 2
    report.assert_nothing_lost()
    assert report.refused == []


@pytest.mark.long
def test_hosts_that_serve_the_version_already_are_passed_over(
    fleet: Fleet, figure: Callable[[str], None]
) -> None:
    version = fleet.serving()[0]
    said = fleet.must("rollout", version)
    figure(f"\n{said}")
    assert [row[:2] for row in table(said).values()] == [[version, "served it already"]] * 2
    # A changed setting is taken in.
    for vm in fleet.vms:
        vm.set(REWIND_EVENTS=50)
    said = fleet.must("rollout", version)
    assert [row[1] for row in table(said).values()] == ["rolled out"] * 2


@pytest.mark.long
def test_no_viewer_notices_a_rollback_of_both_hosts(
    fleet: Fleet, figure: Callable[[str], None]
) -> None:
    wanted = fleet.vms[0].console("tail -n 2 /opt/barestream/versions").split()[0]
    with fleet.viewers() as viewers:
        said = fleet.must("rollback")
        report = viewers.leave()
    figure(f"\n{said}\n{report}")
    assert fleet.serving() == [wanted] * 2
    report.assert_nothing_lost()
    assert report.refused == []


@pytest.mark.long
def test_a_second_host_that_fails_leaves_the_first_on_its_version_and_a_rerun_goes_on(
    fleet: Fleet, figure: Callable[[str], None]
) -> None:
    before = fleet.serving()
    version = fleet.checkout.version("src/barestream/__main__.py", '"""', '"""A third: ')
    with fleet.viewers() as viewers:
        # A setting that each host has for itself.
        fleet.vms[1].set(WORKERS="many")
        try:
            done = fleet.run("rollout", version)
        finally:
            fleet.vms[1].console("sed -i '/^BARESTREAM_WORKERS=/d' /opt/barestream/.env")
        rows = [*table(done.stdout).values()]
        halfway = fleet.serving()
        again = fleet.must("rollout", version)
        report = viewers.leave()
    figure(f"\n{done.stdout}\n{done.stderr}\n{again}\n{report}")
    assert done.returncode == 1
    assert "BARESTREAM_WORKERS" in done.stderr
    assert "1 of 2 hosts are done" in done.stderr
    assert rows[0][:2] == [version, "rolled out"]
    assert rows[1][:2] == [before[1], "failed"]
    assert rows[1][3] == "checking the configuration"
    assert halfway == [version, before[1]]
    assert fleet.serving() == [version] * 2
    assert [row[1] for row in table(again).values()] == ["served it already", "rolled out"]
    report.assert_nothing_lost()
    assert report.refused == []


@pytest.mark.long
def test_hosts_that_differ_in_a_setting_are_refused_before_any_is_changed(fleet: Fleet) -> None:
    second = fleet.vms[1]
    second.set(TOKEN_KEY="another-key-of-at-least-32-characters")
    try:
        before = fleet.serving()
        done = fleet.run("rollout")
    finally:
        second.set(TOKEN_KEY=f"'{KEY}'")
    assert done.returncode == 1
    assert f"{fleet.targets[1]} has other settings than {fleet.targets[0]}" in done.stderr
    assert "BARESTREAM_TOKEN_KEY" in done.stderr
    assert fleet.serving() == before


def cut_off(vm: Vm) -> None:
    """Have it hear nothing, as if its cable were pulled out; its own processes go on."""
    vm.console(
        "nft add table inet cut; nft add chain inet cut silence "
        "'{ type filter hook prerouting priority raw; policy drop; }'"
    )


def reconnect(vm: Vm) -> None:
    """Put the cable back."""
    vm.console("nft delete table inet cut")


def kill(vm: Vm) -> None:
    """End it as a loss of power does."""
    docker("kill", vm.name)


def boot(vm: Vm) -> None:
    """Start it after that."""
    docker("start", vm.name)
    vm.wait()


@pytest.mark.long
@pytest.mark.parametrize(("die", "revive"), [(cut_off, reconnect), (kill, boot)])
def test_streams_of_a_host_that_dies_go_on_at_the_other_one(
    fleet: Fleet,
    figure: Callable[[str], None],
    die: Callable[[Vm], None],
    revive: Callable[[Vm], None],
) -> None:
    dying = fleet.vms[1]
    balancer = fleet.balancer
    # Also after the death before this one.
    wait_for("the host", lambda: balancer.log.rfind(UP) > balancer.log.rfind(DOWN))
    noticed = balancer.log.count(DOWN)
    with fleet.viewers() as viewers:
        die(dying)
        try:
            wait_for("the balancer to notice", lambda: balancer.log.count(DOWN) > noticed)
            report = viewers.leave()
        finally:
            revive(dying)
    figure(f"\n{report}\n{report.verdict.unacknowledged} of the refused were published")
    report.assert_nothing_lost()
    assert 0 < len(report.reconnects) < STREAMS
    assert max(report.silences_seconds) < DEAD_SECONDS


@pytest.mark.long
def test_a_valkey_that_does_not_answer_stops_a_rollout_with_its_cause(operator: Operator) -> None:
    operator.vm.set(BROKER_URL="redis://127.0.0.1:1")
    before = operator.everything()
    done = operator.roll("rollout")
    after = operator.everything()
    operator.vm.console("sed -i /BROKER_URL/d /opt/barestream/.env")
    assert done.returncode == 1
    assert "rollout failed at: checking the configuration" in done.stderr
    assert "the broker of BARESTREAM_BROKER_URL cannot be reached" in done.stderr
    assert after == before

"""What viewers and publishers notice while pods come and go on a real cluster."""

import json
from collections.abc import Callable

import httpx

from release import CHART, CLUSTER_SECONDS, DATA, TOPIC, Release
from support.clients.publisher import PATH
from support.servers.service import wait_for
from support.viewers.report import Report

# A setting of a form that no schema knows: the app itself refuses it.
BROKEN = "settings.BARESTREAM_TRUSTED_PROXIES=everybody"
REFUSED = "BARESTREAM_TRUSTED_PROXIES='everybody': expected addresses"

Figure = Callable[[str], None]


def test_helm_test_publishes_and_receives(release: Release) -> None:
    assert "Succeeded" in release.helm("test", "barestream")


def test_a_rolling_update_loses_nothing_and_refuses_nobody(
    release: Release, figure: Figure
) -> None:
    old = release.ready_pods()
    with release.viewers() as viewers:
        release.upgrade(revision="r2")
        release.wait_until_gone(*old)
        report = viewers.leave()
    figure(f"\n{report}")
    assert not {*old} & {*release.ready_pods()}
    assert _cut(report) == []
    # Each stream was ended at least once.
    assert len(report.reconnects) >= len(report.visits)
    report.assert_nothing_lost()
    if release.nginx_keeps_idle_connections():
        assert report.refused == []
    else:
        # No answer, but a connection that ended under the request.
        assert [each for each in report.refused if each[0].isdigit()] == []


def test_pods_that_do_not_start_leave_the_others_in_service(release: Release) -> None:
    before = release.wait_until_ready(2)
    release.helm("upgrade", "barestream", str(CHART), "--reuse-values", f"--set={BROKEN}")
    try:
        wait_for("the refusal in the log", lambda: REFUSED in release.logs_of_others(before), 120)
        assert {*before} == {*release.ready_pods()}
        assert release.publish() == 200
    finally:
        release.helm("rollback", "barestream", "--wait")
    assert {*before} == {*release.wait_until_ready(2)}


def test_a_pod_that_is_killed_loses_nothing(release: Release, figure: Figure) -> None:
    [victim, _] = release.ready_pods()
    with release.viewers() as viewers:
        release.kubectl("delete", "pod", victim, "--grace-period=0", "--force")
        release.wait_until_ready(2)
        release.wait_until_gone(victim)
        report = viewers.leave()
    figure(f"\n{report}")
    assert report.reconnects
    report.assert_nothing_lost()


def test_a_node_drain_waits_for_the_budget_and_loses_nothing(
    release: Release, figure: Figure
) -> None:
    [first, second] = release.wait_until_ready(2)
    with release.viewers() as viewers:
        # The budget may not know yet that both are ready.
        wait_for("the first eviction", lambda: release.evict(first).returncode == 0)
        held = release.evict(second)
        release.wait_until_ready(2)
        wait_for("the second eviction", lambda: release.evict(second).returncode == 0)
        release.wait_until_ready(2)
        release.wait_until_gone(first, second)
        report = viewers.leave()
    figure(f"\n{held.stderr}\n{report}")
    assert held.returncode != 0
    assert "disruption budget" in held.stderr
    assert _cut(report) == []
    report.assert_nothing_lost()


def test_pods_stay_ready_and_streams_open_while_valkey_is_away(release: Release) -> None:
    pods = release.wait_until_ready(2)
    before = release.restarts()
    with httpx.stream("GET", f"{release.url}{PATH}?topic={TOPIC}", timeout=60) as stream:
        received = stream.iter_raw()
        release.kubectl("scale", "statefulset/barestream-valkey", "--replicas=0")
        wait_for("a refused publish", lambda: release.publish() == 503)
        alive = [
            release.kubectl("exec", pod, "--", "barestream", "health", "--alive") for pod in pods
        ]
        ready_meanwhile = release.ready_pods()
        release.kubectl("scale", "statefulset/barestream-valkey", "--replicas=1")
        wait_for("an accepted publish", lambda: release.publish() == 200, CLUSTER_SECONDS)
        # The stream is the same one: it was not opened again.
        while DATA.encode() not in next(received):
            pass
    assert alive == ["", ""]
    assert {*ready_meanwhile} == {*pods}
    assert release.restarts() == before


def test_the_password_that_the_chart_made_stays_over_an_upgrade(release: Release) -> None:
    def password() -> str:
        found = json.loads(release.kubectl("get", "secret", "barestream-valkey", "--output=json"))
        data: dict[str, str] = found["data"]
        return data["password"]

    before = password()
    release.upgrade()
    assert password() == before


def _cut(report: Report) -> list[str]:
    """Return how streams ended that did not end as HTTP says they must."""
    ends = [visit.end for visits in report.visits for visit in visits[:-1]]
    return [end for end in ends if end != "ended"]

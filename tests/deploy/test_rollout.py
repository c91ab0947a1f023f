"""Rollouts and rollbacks on a VM, with viewers that must not notice them."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from operating import DRAIN_SECONDS, STREAMS, Operator
from support.servers.service import wait_for

# How releases before the rules of deploy/valkey-service.acl started Valkey.
EARLIER_VALKEY_START = """#!/bin/sh
set -eu
secret=/run/barestream-engine/password
if [ "${1:-serve}" = health ]; then
    [ "$(REDISCLI_AUTH=$(cat "$secret") valkey-cli ping)" = PONG ]
    exit
fi
[ "${1:-serve}" = serve ] || exit 2
exec valkey-server - <<CONFIG
requirepass $(cat "$secret")
dir /data
appendonly yes
appendfsync always
save ""
CONFIG
"""

# Started, this version ends; it never takes streams; it takes them and brings nothing.
BROKEN = {
    "does not start": (
        ("src/barestream/app.py", "import asyncio", 'raise RuntimeError("a broken start")'),
        "starting",
        "RuntimeError: a broken start",
    ),
    "is never healthy": (
        (
            "src/barestream/web/health.py",
            "if self._streams.draining",
            "if True or self._streams.draining",
        ),
        "starting",
        "/readyz answers 503",
    ),
    "fails the smoke test": (
        ("src/barestream/delivery/tail.py", "self.feed.append(record)", "pass"),
        "trying it on its own socket",
        "an open stream did not get it",
    ),
}


def test_two_commands_bring_a_bare_vm_to_a_green_smoke_test(operator: Operator) -> None:
    assert "all is well" in operator.smoke()


def test_no_viewer_notices_a_rollout(operator: Operator, figure: Callable[[str], None]) -> None:
    version = operator.checkout.version("src/barestream/__main__.py", '"""', '"""Another: ')
    nginx_before = operator.nginx()
    with operator.viewers() as viewers:
        said = operator.must("rollout", version)
        report = viewers.leave()
    figure(f"\n{said}\n{report}")
    assert len(report.reconnects) == STREAMS
    report.assert_unnoticed(DRAIN_SECONDS)
    assert operator.serving() == version
    assert operator.nginx() == nginx_before
    assert "reloaded" not in said


@pytest.mark.parametrize("flaw", BROKEN)
def test_a_broken_version_leaves_nothing_behind_and_no_viewer_notices(
    operator: Operator, flaw: str
) -> None:
    change, step, cause = BROKEN[flaw]
    version = operator.checkout.version(*change)
    before = operator.everything()
    with operator.viewers(50) as viewers:
        done = operator.roll("rollout", version, "--health-seconds", "30")
        report = viewers.leave()
    assert done.returncode == 1, done.stdout
    assert f"rollout failed at: {step}" in done.stderr
    assert cause in done.stderr
    assert operator.everything() == before
    # Not one stream was ended.
    assert report.reconnects == []
    report.assert_unnoticed(DRAIN_SECONDS)


@pytest.mark.long
def test_the_tokens_of_subscribers_may_have_a_key_of_their_own(operator: Operator) -> None:
    operator.vm.set(SUBSCRIBER_TOKEN_KEY="another-key-of-at-least-32-bytes")
    said = operator.roll("rollout")
    # The next one takes it away again.
    operator.vm.console("sed -i /SUBSCRIBER_TOKEN_KEY/d /opt/barestream/.env")
    assert said.returncode == 0, said.stderr
    assert "a client that comes back gets what it missed" in said.stdout


def test_settings_that_compose_cannot_read_are_named(operator: Operator) -> None:
    operator.vm.console("echo 'NOT A NAME=1' >>/opt/barestream/.env")
    done = operator.roll("rollout")
    operator.vm.console("sed -i '/^NOT A NAME/d' /opt/barestream/.env")
    assert done.returncode == 1
    assert "Correct /opt/barestream/.env on the VM" in done.stderr


def test_a_misspelt_setting_is_reported_and_one_that_nginx_refuses_stops_a_rollout(
    operator: Operator,
) -> None:
    version = operator.checkout.version(
        "nginx/nginx.conf", "keepalive_timeout 30s", "keepalive_tumeout 30s"
    )
    operator.vm.console("echo BARESTREAM_WORKER=1 >>/opt/barestream/.env")
    before = operator.everything()
    done = operator.roll("rollout", version)
    after = operator.everything()
    operator.vm.console("sed -i /BARESTREAM_WORKER=/d /opt/barestream/.env")
    # A misspelt name stops nothing.
    assert "BARESTREAM_WORKER is not a setting; did you mean BARESTREAM_WORKERS?" in done.stdout
    assert done.returncode == 1
    assert "rollout failed at: checking the configuration" in done.stderr
    assert 'unknown directive "keepalive_tumeout"' in done.stderr
    assert after == before


@pytest.mark.long
def test_no_viewer_notices_a_rollback(operator: Operator, figure: Callable[[str], None]) -> None:
    newest, wanted = (
        operator.serving(),
        operator.vm.console("tail -n 2 /opt/barestream/versions").split()[0],
    )
    with operator.viewers() as viewers:
        operator.must("rollback")
        report = viewers.leave()
    figure(f"\n{report}")
    assert operator.serving() == wanted
    assert len(report.reconnects) == STREAMS
    report.assert_unnoticed(DRAIN_SECONDS)
    unknown = operator.roll("rollback", "v0")
    assert unknown.returncode == 1
    assert "v0 is not kept on this VM" in unknown.stderr
    assert newest in unknown.stderr


def test_a_second_rollout_is_refused_and_the_next_one_clears_up_after_one_that_was_cut_off(
    operator: Operator,
) -> None:
    version = operator.checkout.version("src/barestream/__main__.py", '"""', '"""Cut off: ')
    with operator.viewers(50) as viewers:
        running = operator.begin("trying it through", version)
        refused = operator.roll("rollout")
        # Like a closed laptop: neither end can close the connection.
        os.killpg(running.pid, signal.SIGKILL)
        operator.vm.console("pkill -KILL -f 'sshd-session: '")
        running.communicate()
        said = operator.must("rollout", version)
        report = viewers.leave()
    assert refused.returncode == 1
    assert re.search(
        r"another run holds the lock: "
        r"An operator on \S+ for a rollout of \w+, since [-\d]{10} [:\d]{8} UTC",
        refused.stderr,
    )
    assert "an earlier run was cut off" in said
    assert operator.serving() == version
    assert report.verdict.lost.total() == report.verdict.twice.total() == 0
    assert report.refused == report.closed == []


def test_a_rollout_that_has_lost_the_lock_stops(operator: Operator) -> None:
    version = operator.checkout.version("src/barestream/__main__.py", '"""', '"""Unlocked: ')
    before = operator.everything()
    running = operator.begin("building", version)
    operator.vm.console("pkill -KILL -f 'sshd-session: '")
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "the connection broke" in said
    assert operator.everything() == before


# Behind those in which no publish may be refused: at a reload, and the next version has another,
# nginx before 1.27.4 can refuse one.
@pytest.mark.long
def test_a_changed_configuration_or_setting_of_nginx_is_reloaded(
    operator: Operator, figure: Callable[[str], None]
) -> None:
    version = operator.checkout.version(
        "nginx/nginx.conf", "keepalive_timeout 30s", "keepalive_timeout 31s"
    )
    operator.vm.set(STREAMS_PER_ADDRESS=3 * STREAMS)
    nginx_before = operator.nginx()
    with operator.viewers(50) as viewers:
        said = operator.must("rollout", version)
        report = viewers.leave()
    figure(f"\n{report}")
    assert "nginx's configuration has changed: reloaded" in said
    assert operator.nginx() == nginx_before
    live = operator.vm.console(
        "docker exec barestream-nginx-1 nginx -p /run/nginx -c /etc/nginx/nginx.conf -T"
    )
    assert "keepalive_timeout 31s" in live
    assert f"limit_conn streams {3 * STREAMS};" in live
    assert report.verdict.lost.total() == report.verdict.twice.total() == 0
    assert report.touched_twice == report.closed == []


def test_three_versions_are_kept(operator: Operator) -> None:
    kept = operator.vm.console("cat /opt/barestream/versions").split()
    assert len(kept) == 3
    assert sorted(operator.vm.console("ls /opt/barestream/releases").split()) == sorted(kept)
    images = operator.vm.console("docker image ls --format '{{.Tag}}' barestream").split()
    assert sorted(images) == sorted(kept)


@pytest.mark.long
def test_a_rollout_repairs_a_service_of_which_nothing_runs(operator: Operator) -> None:
    operator.vm.console(
        "docker rm --force $(docker ps --quiet --filter name=blue --filter name=green);"
        "docker stop --time 1 barestream-nginx-1 barestream-valkey-1"
    )
    operator.must("rollout")
    operator.smoke()


def test_a_restarted_vm_serves_again_without_help_and_with_its_history(
    operator: Operator, figure: Callable[[str], None]
) -> None:
    first = operator.publish("first")
    operator.publish("missed")
    version = operator.serving()
    began_at = time.monotonic()
    operator.vm.reboot()
    wait_for("the service", operator.is_ready, 60)
    figure(f"serves {time.monotonic() - began_at:.1f} s after the command")
    operator.smoke()
    operator.publish("last")
    assert operator.events_after(first) == ["missed", "last"]
    assert operator.serving() == version


def test_a_restored_backup_serves_a_client_from_its_old_id_and_sends_it_a_gap(
    operator: Operator, tmp_path: Path
) -> None:
    backup = str(tmp_path / "history.rdb")
    old = operator.publish("old")
    operator.publish("missed")
    done = operator.deploy("backup", backup)
    assert done.returncode == 0, done.stderr
    assert Path(backup).stat().st_mode & 0o077 == 0
    operator.publish("lost")
    operator.vm.console(
        "cd /opt/barestream && ./compose rm --force --stop valkey &&"
        "docker volume rm barestream_history && ./compose up --detach --wait --no-deps valkey"
    )
    done = operator.deploy("restore", backup)
    assert done.returncode == 0, done.stderr
    operator.smoke()
    operator.publish("last")
    missed, told, last = operator.events_after(old)
    assert (missed, last) == ("missed", "last")
    assert json.loads(told).keys() == {"from", "to", "missed"}


@pytest.mark.long
def test_a_restore_that_was_cut_off_ends_before_the_next_one_begins(
    operator: Operator, tmp_path: Path
) -> None:
    backup = str(tmp_path / "history.rdb")
    assert operator.deploy("backup", backup).returncode == 0
    running = operator.begin("replacing the history", backup, script="restore")
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    done = operator.deploy("restore", backup)
    assert done.returncode == 0, done.stderr
    kept = operator.vm.console("ls /var/lib/docker/volumes/barestream_history/_data").split()
    assert kept == ["appendonlydir", "appendonlydir.before"]
    operator.smoke()


@pytest.mark.long
def test_an_earlier_valkey_serves_this_release_which_then_replaces_it_and_a_rollback_brings_it_back(
    operator: Operator, tmp_path: Path
) -> None:
    def may_all() -> bool:
        """Return whether the app's password opens all of Valkey; a backup works in any case."""
        backup = tmp_path / "history.rdb"
        done = operator.deploy("backup", str(backup))
        assert done.returncode == 0, done.stderr
        backup.unlink()
        answer = operator.vm.console(
            "docker exec barestream-valkey-1 sh -c "
            "'REDISCLI_AUTH=$(cat /run/barestream-engine/password) valkey-cli CONFIG GET dir'"
        )
        assert ("NOPERM" in answer) != ("/data" in answer)
        return "/data" in answer

    start = (operator.checkout.root / "deploy/valkey-start").read_text()
    version = operator.checkout.version("deploy/valkey-start", start, EARLIER_VALKEY_START)
    first = operator.publish("first")
    assert not may_all()
    assert "Valkey was updated" in operator.must("rollout", version)
    assert may_all()
    operator.publish("of the earlier one")
    # The app is tried on the Valkey of the earlier release before that is replaced.
    assert "Valkey was updated" in operator.must("rollout")
    assert not may_all()
    assert "Valkey was updated" in operator.must("rollback", version)
    assert may_all()
    operator.must("rollout")
    operator.publish("last")
    assert operator.events_after(first) == ["of the earlier one", "last"]


def test_a_file_that_is_no_backup_is_refused_and_changes_nothing(operator: Operator) -> None:
    before = operator.everything()
    done = operator.deploy("restore", str(operator.checkout.root / "README.md"))
    assert done.returncode == 1
    assert "Valkey refuses the file as a snapshot" in done.stderr
    assert operator.everything() == before

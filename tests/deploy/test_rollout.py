"""Versions that come and go on a VM, before an audience that may not notice."""

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from checkout import Checkout
from publisher import PATH, Publisher, token
from service import wait_for
from viewers.audience import Audience
from vm import Vm

STREAMS = 200
EVENTS_PER_SECOND = 50
DRAIN_SECONDS = 5

# Started, this version ends; it never takes streams; it takes them and brings nothing.
BROKEN = {
    "does not start": (
        ("src/barestream/app.py", "import asyncio", 'raise RuntimeError("a broken start")'),
        "starting",
        "RuntimeError: a broken start",
    ),
    "is never healthy": (
        ("src/barestream/web/health.py", "if self._hub.draining", "if True or self._hub.draining"),
        "starting",
        "/readyz answers 503",
    ),
    "fails the smoke test": (
        ("src/barestream/tail.py", "self.feed.append(entry.record)", "pass"),
        "trying it before anybody else does",
        "did not come through an open stream",
    ),
}


@pytest.fixture(scope="module")
def checkout() -> Iterator[Checkout]:
    """Return the operator's clone."""
    with Checkout() as made:
        yield made


@pytest.fixture(scope="module")
def host(vm: Vm, checkout: Checkout) -> Vm:
    """Return the VM with the first version on it: provisioned, then rolled out."""
    provisioned = vm.deploy("provision", root=checkout.root)
    assert provisioned.returncode == 0, provisioned.stderr
    vm.set(
        TOKEN_KEY="'a key that only the tests sign with'",
        DRAIN_SECONDS=DRAIN_SECONDS,
        STREAMS_PER_ADDRESS=2 * STREAMS,
    )
    must(vm, checkout, "rollout")
    return vm


def roll(
    vm: Vm, checkout: Checkout, script: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    return vm.deploy(script, *arguments, "--url", vm.url, root=checkout.root)


def must(vm: Vm, checkout: Checkout, script: str, *arguments: str) -> str:
    done = roll(vm, checkout, script, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def watch(vm: Vm, streams: int = STREAMS) -> Audience:
    return Audience(vm.url, streams, EVENTS_PER_SECOND)


def serving(vm: Vm) -> str:
    return vm.ssh("sed -n s/^BARESTREAM_VERSION=//p /opt/barestream/release.env").strip()


def nginx(vm: Vm) -> str:
    """Return what changes where nginx's container is another, or was started anew."""
    return vm.ssh("docker inspect --format '{{.Id}} {{.State.StartedAt}}' barestream-nginx-1")


def everything(vm: Vm) -> str:
    """Return what a rollout could leave behind."""
    return vm.ssh(
        "docker ps --all --format '{{.ID}} {{.Names}} {{.Image}}' | sort;"
        "docker image ls --format '{{.ID}} {{.Repository}}:{{.Tag}}' | sort;"
        "docker volume ls --quiet; docker network ls --quiet;"
        "cd /opt/barestream && find . -type f ! -name '*lock' | sort | xargs sha256sum;"
        "readlink /var/lib/docker/volumes/barestream_sockets/_data/current"
    )


def smoke(vm: Vm, checkout: Checkout) -> str:
    done = subprocess.run(
        [checkout.root / "deploy/smoke", vm.url],
        env={**os.environ, "BARESTREAM_TOKEN": token()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_two_commands_bring_a_bare_vm_to_a_green_smoke_test(host: Vm, checkout: Checkout) -> None:
    assert "all is well" in smoke(host, checkout)


def test_nobody_notices_a_rollout(
    host: Vm, checkout: Checkout, figure: Callable[[str], None]
) -> None:
    version = checkout.version("src/barestream/__main__.py", '"""', '"""Another: ')
    nginx_before = nginx(host)
    with watch(host) as audience:
        said = must(host, checkout, "rollout", version)
        report = audience.leave()
    figure(f"\n{said}\n{report}")
    assert len(report.reconnects) == STREAMS
    report.assert_unnoticed(DRAIN_SECONDS)
    assert serving(host) == version
    assert nginx(host) == nginx_before
    assert "reloaded" not in said


@pytest.mark.parametrize("flaw", BROKEN)
def test_a_broken_version_leaves_nothing_behind_and_nobody_notices(
    host: Vm, checkout: Checkout, flaw: str
) -> None:
    change, step, cause = BROKEN[flaw]
    version = checkout.version(*change)
    before = everything(host)
    with watch(host, 50) as audience:
        done = roll(host, checkout, "rollout", version, "--health-seconds", "10")
        report = audience.leave()
    assert done.returncode == 1, done.stdout
    assert f"rollout failed at: {step}" in done.stderr
    assert cause in done.stderr
    assert everything(host) == before
    # Not one stream was ended.
    assert report.reconnects == []
    report.assert_unnoticed(DRAIN_SECONDS)


def test_a_changed_nginx_is_reloaded_and_a_setting_of_its_too(
    host: Vm, checkout: Checkout, figure: Callable[[str], None]
) -> None:
    version = checkout.version("nginx/nginx.conf", "keepalive_timeout 30s", "keepalive_timeout 31s")
    host.set(STREAMS_PER_ADDRESS=3 * STREAMS)
    nginx_before = nginx(host)
    with watch(host, 50) as audience:
        said = must(host, checkout, "rollout", version)
        report = audience.leave()
    figure(f"\n{report}")
    assert "nginx's configuration has changed: reloaded" in said
    assert nginx(host) == nginx_before
    live = host.ssh(
        "docker exec barestream-nginx-1 nginx -p /run/nginx -c /etc/nginx/nginx.conf -T"
    )
    assert "keepalive_timeout 31s" in live
    assert f"limit_conn streams {3 * STREAMS};" in live
    assert report.verdict.lost.total() == report.verdict.twice.total() == 0
    assert report.touched_twice == report.closed == []


def test_a_configuration_that_nginx_refuses_stops_a_rollout_before_anything_starts(
    host: Vm, checkout: Checkout
) -> None:
    version = checkout.version("nginx/nginx.conf", "keepalive_timeout 30s", "keepalive_tumeout 30s")
    before = everything(host)
    done = roll(host, checkout, "rollout", version)
    assert done.returncode == 1
    assert "rollout failed at: checking the configuration" in done.stderr
    assert 'unknown directive "keepalive_tumeout"' in done.stderr
    assert everything(host) == before


def test_nobody_notices_a_rollback(
    host: Vm, checkout: Checkout, figure: Callable[[str], None]
) -> None:
    newest, wanted = serving(host), host.ssh("tail -n 2 /opt/barestream/versions").split()[0]
    with watch(host) as audience:
        must(host, checkout, "rollback")
        report = audience.leave()
    figure(f"\n{report}")
    assert serving(host) == wanted
    assert len(report.reconnects) == STREAMS
    report.assert_unnoticed(DRAIN_SECONDS)
    unknown = roll(host, checkout, "rollback", "v0")
    assert unknown.returncode == 1
    assert "v0 is not kept here" in unknown.stderr
    assert newest in unknown.stderr


def begin(vm: Vm, checkout: Checkout, step: str, *arguments: str) -> subprocess.Popen[str]:
    """Return a rollout that has come to a step."""
    running = vm.begin_deploy("rollout", *arguments, "--url", vm.url, root=checkout.root)
    assert running.stdout is not None
    for line in running.stdout:
        if step in line:
            break
    else:
        raise AssertionError(running.communicate())
    return running


def test_while_one_rolls_out_another_is_refused_and_what_a_cut_leaves_the_next_one_clears_up(
    host: Vm, checkout: Checkout
) -> None:
    version = checkout.version("src/barestream/__main__.py", '"""', '"""Cut off: ')
    with watch(host, 50) as audience:
        running = begin(host, checkout, "trying it through", version)
        refused = roll(host, checkout, "rollout")
        # As a lid that is closed: neither end can say good-bye.
        os.killpg(running.pid, signal.SIGKILL)
        host.console("pkill -KILL -f 'sshd-session: '")
        running.communicate()
        said = must(host, checkout, "rollout", version)
        report = audience.leave()
    assert refused.returncode == 1
    assert re.search(
        r"locked by An operator on \S+ for a rollout of \w+, since [-\d]{10} [:\d]{8} UTC",
        refused.stderr,
    )
    assert "an earlier run was cut off" in said
    assert serving(host) == version
    assert report.verdict.lost.total() == report.verdict.twice.total() == 0
    assert report.refused == report.closed == []


def test_three_versions_are_kept(host: Vm) -> None:
    kept = host.ssh("cat /opt/barestream/versions").split()
    assert len(kept) == 3
    assert sorted(host.ssh("ls /opt/barestream/releases").split()) == sorted(kept)
    images = host.ssh("docker image ls --format '{{.Tag}}' barestream").split()
    assert sorted(images) == sorted(kept)


def publish(vm: Vm, data: str) -> str:
    async def post() -> str:
        async with Publisher(vm.url) as publisher:
            return await publisher.publish("history", data=data)

    return asyncio.run(post())


def events_after(vm: Vm, event_id: str) -> list[str]:
    """Return the data of the events that a client gets that comes back with an id."""
    found = []
    headers = {"Last-Event-ID": event_id}
    with httpx.stream("GET", f"{vm.url}{PATH}?topic=history", headers=headers, timeout=5) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                found.append(line.removeprefix("data: "))
            if line == "data: last":
                return found
    raise AssertionError(found)


def is_ready(vm: Vm) -> bool:
    try:
        return httpx.get(f"{vm.url}/readyz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def test_a_vm_that_restarts_serves_again_by_itself_with_its_history(
    host: Vm, checkout: Checkout, figure: Callable[[str], None]
) -> None:
    first, *_ = (publish(host, data) for data in ("first", "missed"))
    publish(host, "missed")
    version = serving(host)
    began_at = time.monotonic()
    host.reboot()
    wait_for("the service", lambda: is_ready(host), 60)
    figure(f"serves {time.monotonic() - began_at:.1f} s after the command")
    smoke(host, checkout)
    publish(host, "last")
    assert events_after(host, first) == ["missed", "last"]
    assert serving(host) == version


def test_a_backup_that_is_put_back_serves_a_client_from_its_old_id(
    host: Vm, checkout: Checkout, tmp_path: Path
) -> None:
    backup = str(tmp_path / "history.rdb")
    old = publish(host, "old")
    publish(host, "missed")
    done = host.deploy("backup", backup, root=checkout.root)
    assert done.returncode == 0, done.stderr
    host.ssh(
        "cd /opt/barestream && ./compose rm --force --stop valkey &&"
        "docker volume rm barestream_history && ./compose up --detach --wait --no-deps valkey"
    )
    done = host.deploy("restore", backup, root=checkout.root)
    assert done.returncode == 0, done.stderr
    wait_for("the service", lambda: is_ready(host), 30)
    smoke(host, checkout)
    publish(host, "last")
    assert events_after(host, old) == ["missed", "last"]


def test_what_is_no_backup_changes_nothing(host: Vm, checkout: Checkout) -> None:
    before = everything(host)
    done = host.deploy("restore", str(checkout.root / "README.md"), root=checkout.root)
    assert done.returncode == 1
    assert "Valkey does not take it for a snapshot" in done.stderr
    assert everything(host) == before

"""What the scripts of deploy/ do with several hosts, without any host."""

import subprocess
from pathlib import Path

import pytest

from barestream.settings.settings import Settings
from support.servers.service import ROOT

_DEPLOY = ROOT / "deploy"

# A script that works on hosts as rollout does, and fails at those whose name says so.
_SCRIPT = f"""
set -euo pipefail
. {_DEPLOY}/operator/progress.sh
. {_DEPLOY}/operator/hosts.sh
. {_DEPLOY}/operator/release.sh
program=rollout
read_release_arguments "$@"
version=v2
roll_out() {{
    trap 'echo "left $vm"' EXIT
    step "connecting to $vm" true
    outcome version v1
    step "starting it" attempt "Mend it." start
    outcome version v2
    outcome state "rolled out"
}}
start() {{ [[ $vm != *broken* ]] || {{ echo "it is broken" >&2; return 3; }}; }}
begin_hosts
on_hosts roll_out
"""


def work_on(*hosts: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", _SCRIPT, "rollout", *hosts], capture_output=True, text=True, check=False
    )


def rows(said: str) -> list[list[str]]:
    """Return the table at the end, without the seconds."""
    _, _, table = said.partition("what failed\n")
    return [[word for word in line.split() if not word.isdigit()] for line in table.splitlines()]


def test_hosts_are_worked_on_one_after_the_other() -> None:
    done = work_on("root@a", "root@b:22")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("left root@a") < done.stdout.index("connecting to root@b:22")
    assert rows(done.stdout)[:2] == [
        ["root@a", "v2", "rolled", "out"],
        ["root@b:22", "v2", "rolled", "out"],
    ]


def test_the_first_host_that_fails_ends_the_run_and_the_rest_are_untouched() -> None:
    done = work_on("root@a", "root@broken", "root@c")
    assert done.returncode == 1
    assert "connecting to root@c" not in done.stdout
    assert rows(done.stdout) == [
        ["root@a", "v2", "rolled", "out"],
        ["root@broken", "v1", "failed", "starting", "it"],
        ["root@c", "-", "untouched", "-"],
    ]
    assert "cause:      it is broken" in done.stderr
    assert "rollout stopped at root@broken: 1 of 3 hosts are done" in done.stderr
    assert "run deploy/rollout root@a root@broken root@c v2" in done.stderr
    assert "to go back: deploy/rollback root@a\n" in done.stderr


def test_the_command_to_go_on_has_the_options_that_matter_to_the_other_hosts() -> None:
    options = ("--verbose", "--again", "--health-seconds", "9", "--replace-nginx")
    done = work_on("root@broken", "root@c", *options)
    command = "deploy/rollout root@broken root@c v2 --again --health-seconds 9 --replace-nginx\n"
    assert f"run {command}" in done.stderr


def test_a_host_alone_has_no_table_and_the_same_exit_code() -> None:
    done = work_on("root@a")
    assert done.returncode == 0
    assert "host" not in done.stdout
    done = work_on("root@broken")
    assert done.returncode == 1
    assert "stopped" not in done.stderr
    assert "cause:      it is broken" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["rollout", "root@a", "root@b", "v1", "v2"], "there is one argument too many: v2"),
        (["rollout", "root@a", "root@b", "--url", "http://a"], "--url is of one host"),
        (["rollback", "root@a", "v1", "main@{1}"], "there is one argument too many: main@{1}"),
        (["status", "root@a", "b"], "there is one argument too many: b"),
        (["provision", "a", "root@b"], "expected a VM as user@host"),
    ],
)
def test_a_host_is_told_from_a_revision_by_its_user(arguments: list[str], complaint: str) -> None:
    script, *rest = arguments
    done = subprocess.run([_DEPLOY / script, *rest], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert complaint in done.stderr


_LOOK = f"""
set -euo pipefail
. {_DEPLOY}/vm/preflight.sh
. {_DEPLOY}/vm/agreement.sh
home=$1
look
"""


def look(folder: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """Return what a VM with this .env tells of itself."""
    (folder / ".env").write_text("\n".join(lines))
    return subprocess.run(
        ["bash", "-c", _LOOK, "rollout", folder], capture_output=True, text=True, check=False
    )


def test_settings_are_compared_as_compose_reads_them_and_are_not_shown(tmp_path: Path) -> None:
    quoted = look(
        tmp_path,
        "BARESTREAM_BROKER_URL='redis://h'",
        "BARESTREAM_TOKEN_KEY=before",
        "# BARESTREAM_ISSUER=x",
        'BARESTREAM_TOKEN_KEY="a key"',
        "BARESTREAM_WORKERS=3",
    )
    plain = look(tmp_path, "BARESTREAM_TOKEN_KEY=a key", "BARESTREAM_BROKER_URL=redis://h")
    assert quoted.returncode == 0, quoted.stderr
    assert quoted.stdout == plain.stdout
    assert "BARESTREAM_TOKEN_KEY" in plain.stdout
    assert "a key" not in plain.stdout
    other = look(tmp_path, "BARESTREAM_TOKEN_KEY=another key", "BARESTREAM_BROKER_URL=redis://h")
    assert other.stdout != plain.stdout


@pytest.mark.parametrize(
    ("url", "is_shared"),
    [
        (None, False),
        ("local", False),
        ('"local"', False),
        ("valkey://valkey:6379", False),
        ("'redis://user:word@valkey/1'", False),
        ("valkey://valkey # its own", False),
        ("valkey://valkey.example", True),
        ("rediss://valkey@history.example:6379/2", True),
        ("redis://x@valkeys:1", True),
        # BARESTREAM_BROKER_URL_FILE then says where it is.
        ("", True),
    ],
)
def test_hosts_need_a_valkey_that_all_of_them_use(
    tmp_path: Path, url: str | None, *, is_shared: bool
) -> None:
    done = look(tmp_path, *([] if url is None else [f"BARESTREAM_BROKER_URL={url}"]))
    assert (done.returncode == 0) is is_shared
    assert ("on it alone" in done.stderr) is not is_shared


def test_of_several_urls_the_last_one_says_whether_the_valkey_is_shared(tmp_path: Path) -> None:
    own, shared = "BARESTREAM_BROKER_URL=local", "BARESTREAM_BROKER_URL=redis://h"
    assert look(tmp_path, own, shared).returncode == 0
    assert look(tmp_path, shared, own).returncode == 1


def test_each_setting_that_a_host_may_have_of_its_own_is_a_setting() -> None:
    text = (_DEPLOY / "vm/agreement.sh").read_text()
    _, _, rest = text.partition('own_settings="')
    names = rest[: rest.index('"')].split()
    assert len(names) > 10
    assert {name.lower() for name in names} <= {*Settings.model_fields}

import subprocess
from pathlib import Path

import pytest

from support.servers.service import ROOT

# The scripts that an operator runs: those that print their steps.
SCRIPTS = sorted(
    path
    for path in (ROOT / "deploy").iterdir()
    if path.is_file() and "operator/progress.sh" in path.read_text()
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_help_prints_the_usage_of_the_script(script: Path) -> None:
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert f"  {script.name} " in done.stdout
    assert "shellcheck" not in done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_an_unknown_option_is_refused_with_a_message_that_names_the_script(script: Path) -> None:
    done = subprocess.run([script, "--what"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{script.name}: ")


# A docker that notes what it is called with, what it is given, and its environment.
DOCKER = """#!/bin/bash
printf '%s\\n' "$@" >arguments
cat >input
printf '%s %s\\n' "$BARESTREAM_TOKEN" "$BARESTREAM_SUBSCRIBER_TOKEN" >tokens
"""

SMOKE = """
    stop_with() { echo "$1" >&2; exit 1; }
    . "$1/deploy/vm/smoke.sh"
    smoke newest socket https://events.example
"""


@pytest.fixture
def vm(tmp_path: Path) -> Path:
    """Return the folder of a service, with a docker of its own."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/docker").write_text(DOCKER)
    (tmp_path / "bin/docker").chmod(0o755)
    (tmp_path / "socket").touch()
    (tmp_path / "versions").write_text("old\nolder\nserving\n")
    for version in ("newest", "old", "older", "serving"):
        (tmp_path / "releases" / version / "deploy").mkdir(parents=True)
    return tmp_path


def smoke(vm: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", SMOKE, "smoke", ROOT],
        cwd=vm,
        env={"PATH": f"{vm}/bin:/usr/bin:/bin"},
        input="publishes\nreads\nCA\nCA\n",
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_smoke_test_on_a_vm_has_its_tokens_on_no_command_line(vm: Path) -> None:
    done = smoke(vm)
    assert (done.returncode, done.stderr) == (0, "")
    arguments = (vm / "arguments").read_text().splitlines()
    assert "barestream:newest" in arguments
    assert arguments[-6:-4] == ["--unix", "/run/hub.sock"]
    assert arguments[-4:-2] == ["--url", "https://events.example"]
    assert not any(each.startswith(("publishes", "reads")) for each in arguments)
    assert (vm / "tokens").read_text() == "publishes reads\n"
    # The certificates of a private CA.
    assert (vm / "input").read_text() == "CA\nCA\n"


def test_a_version_without_the_command_is_tried_by_one_that_has_it(vm: Path) -> None:
    """Releases without the command had a script in its place."""
    for version in ("newest", "serving"):
        (vm / "releases" / version / "deploy/smoke").touch()
    assert smoke(vm).returncode == 0
    assert "barestream:older" in (vm / "arguments").read_text().splitlines()
    for version in ("old", "older"):
        (vm / "releases" / version / "deploy/smoke").touch()
    (vm / "arguments").unlink()
    done = smoke(vm)
    assert (done.returncode, (vm / "arguments").exists()) == (1, False)
    assert done.stderr.startswith("no version that is kept has the command barestream smoke --unix")

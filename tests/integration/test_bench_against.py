"""The bench compares this tree with a commit, from the checkout to the verdict."""

import subprocess
import sys

from support.servers.programs import give_up, path_of
from support.servers.service import ROOT


def test_this_tree_is_compared_with_the_commit_that_is_checked_out() -> None:
    path_of("cc", "gcc")
    if not (ROOT / ".git").exists():
        give_up("this is no checkout of git, so there is no commit to compare with")
    done = subprocess.run(
        [sys.executable, "tests/bench", "--against", "HEAD", "--quick", "--only", "fan-out"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| fan-out")]
    assert [row[1] for row in rows] == [
        "CPU a delivery",
        "CPU a connect",
        "memory a stream",
    ], done.stdout + done.stderr
    # The figures of so short a run are chance; that the exit code is their verdict is not.
    is_above = any("ABOVE" in row[-1] for row in rows)
    assert done.returncode == int(is_above), done.stdout + done.stderr


def test_an_unknown_commit_is_refused_by_its_name() -> None:
    done = subprocess.run(
        [sys.executable, "tests/bench", "--against", "no-such-commit"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "git knows no commit 'no-such-commit' here" in done.stderr

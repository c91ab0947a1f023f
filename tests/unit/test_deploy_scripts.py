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

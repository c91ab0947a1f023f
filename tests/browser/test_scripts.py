"""The page's scripts alone, by Node's own test runner and with a window that is not real."""

import subprocess
from pathlib import Path


def test_the_unit_tests_of_the_scripts_pass(node: str) -> None:
    files = sorted(Path(__file__).parent.glob("*.test.mjs"))
    assert files
    done = subprocess.run(
        [node, "--test", *files], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

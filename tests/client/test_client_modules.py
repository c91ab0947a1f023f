"""The client's modules without a browser, by Node's own test runner."""

import subprocess
from pathlib import Path

from support.servers.programs import path_of


def test_the_tests_of_the_clients_modules_pass() -> None:
    files = sorted(Path(__file__).parent.glob("*.test.mjs"))
    assert files
    done = subprocess.run(
        [path_of("node", "nodejs"), "--test", *files],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

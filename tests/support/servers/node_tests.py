"""Tests in JavaScript, run by Node's own test runner."""

import os
import subprocess
from pathlib import Path

from support.servers.programs import path_of


def run_node_tests(*files: Path, within_seconds: float, **environment: str) -> str:
    """Run the tests of some files; all of them must pass.

    Args:
        files: The files.
        within_seconds: In which time they must be over.
        environment: Variables beside those of this process.

    Returns:
        What they printed.
    """
    done = subprocess.run(
        [path_of("node", "nodejs"), "--test", *files],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=within_seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

"""The client's transport for useChat on Node, with the package ai and answers that are made up."""

import shutil
import subprocess
from pathlib import Path

from support.servers.node_packages import project_with_client
from support.servers.programs import path_of

STEPS = Path(__file__).parent / "chat_transport.mjs"


def test_the_transport_joins_the_parts_of_an_answer(tmp_path: Path) -> None:
    project_with_client(tmp_path)
    shutil.copy(STEPS, tmp_path)
    done = subprocess.run(
        [path_of("node", "nodejs"), "--test", tmp_path / STEPS.name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""The client's transport for useChat on Node, with the package ai and answers that are made up."""

import shutil
from pathlib import Path

from support.servers.node_packages import project_with_client
from support.servers.node_tests import run_node_tests

STEPS = Path(__file__).parent / "chat_transport.mjs"


def test_the_transport_joins_the_parts_of_an_answer(tmp_path: Path) -> None:
    project_with_client(tmp_path)
    shutil.copy(STEPS, tmp_path)
    run_node_tests(tmp_path / STEPS.name, within_seconds=60)

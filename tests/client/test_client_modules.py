"""The client's modules without a browser, by Node's own test runner."""

from pathlib import Path

from support.servers.node_tests import run_node_tests


def test_the_tests_of_the_clients_modules_pass() -> None:
    files = sorted(Path(__file__).parent.glob("*.test.mjs"))
    assert files
    run_node_tests(*files, within_seconds=120)

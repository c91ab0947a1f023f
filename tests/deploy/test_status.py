"""The status and the logs of a running service, as an operator sees them."""

import re

from operating import Operator


def test_the_status_shows_the_version_the_streams_and_their_rates(operator: Operator) -> None:
    with operator.viewers(20) as viewers:
        done = operator.deploy("status")
        viewers.leave()
    assert done.returncode == 0, done.stderr
    assert re.search(rf"(blue|green) \(current\) +barestream:{operator.serving()}, Up", done.stdout)
    assert "20 streams," in done.stdout
    assert "Valkey answers" in done.stdout
    assert "nginx:1.28, Up" in done.stdout


def test_the_logs_are_only_those_of_the_named_services(operator: Operator) -> None:
    done = operator.deploy("logs", "valkey")
    assert done.returncode == 0, done.stderr
    assert "Ready to accept connections" in done.stdout
    assert "nginx" not in done.stdout

"""Figures that tests measure, and an environment without the settings of a checkout."""

import os
import signal
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

# The settings of the person who runs the tests do not count.
os.environ["BARESTREAM_ENV_FILE"] = ""

# A script's shell starts what it runs in the background with SIGINT ignored, and every program that
# a test starts would inherit that: bash could not even trap it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine draws and runs examples slowly, which is no fault.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

_FIGURE = "figure"


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that has a measured figure printed at the end of the run."""
    return lambda text: request.node.user_properties.append((_FIGURE, text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, also where all is well."""
    calls = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
    ]
    figures = [
        f"{report.nodeid.rpartition('::')[2]}: {text}"
        for report in calls
        for name, text in report.user_properties
        if name == _FIGURE
    ]
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)

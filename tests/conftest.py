"""Figures that tests measure, and an environment without the settings of a checkout."""

import os
import signal
from collections.abc import Callable

import pytest

# The settings of the person who runs the tests do not count.
os.environ["BARESTREAM_ENV_FILE"] = ""

# A script's shell starts what it runs in the background with SIGINT ignored, and every program that
# a test starts would inherit that: bash could not even trap it.
signal.signal(signal.SIGINT, signal.default_int_handler)

_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that has a measured figure printed at the end of the run."""
    figures = request.config.stash.setdefault(_FIGURES, [])
    return lambda text: figures.append(f"{request.node.name}: {text}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, also where all is well."""
    if figures := terminalreporter.config.stash.get(_FIGURES, []):
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)

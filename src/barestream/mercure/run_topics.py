"""The topics of runs, and what their last events may say. Pure.

They are below the hub's path, where nobody can publish by a plain publish.
"""

from urllib.parse import quote

from barestream.mercure.topics import PATH

RUNS = f"{PATH}/runs"
_RUNNERS = f"{PATH}/runners"

# As parts of a URL's path they name other paths, and percent-encoding leaves them as they are.
_DOTS = {".", ".."}

# What followers are told of a failure is a sentence or two.
MOST_ERROR_CHARACTERS = 1000


def is_dots(name: str) -> bool:
    """Return whether a key or a runner cannot be a part of a topic."""
    return name in _DOTS


def right_to(key: str) -> str:
    """Return the topic that a token must be allowed to publish to, for all that it does to a run.

    Nothing is ever published to it.
    """
    return f"{RUNS}/{quote(key, safe='')}"


def run_topic(key: str, run_id: str) -> str:
    """Return the topic of a run's events."""
    return f"{right_to(key)}/{quote(run_id, safe='')}"


def control_topic(runner: str) -> str:
    """Return the topic by which a process is asked to stop its runs."""
    return f"{_RUNNERS}/{quote(runner, safe='')}"

"""The lines of a log that look like an error."""

import json
import re

_ALARMING = re.compile(
    r"warn|error|crit|alert|emerg|fatal|exception|traceback|fail|kill", re.IGNORECASE
)

# Valkey's advice about the host, which a container cannot follow.
_ABOUT_THE_HOST = "Memory overcommit must be enabled!"


def complaints(log: str) -> list[str]:
    """Return the lines of a log that look like an error, to a program or to a person."""
    # Compose 2.26 erases the terminal's line before each of its own, even with --ansi never.
    lines = log.replace("\x1b[2K", "").splitlines()
    return [line for line in lines if _looks_like_an_error(line) and _ABOUT_THE_HOST not in line]


def _looks_like_an_error(line: str) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return _ALARMING.search(line) is not None
    if "status" in record:
        return int(record["status"]) >= 500
    # Not the name of the logger: Gunicorn's and uvicorn's end in ".error" whatever they say.
    return _ALARMING.search(f"{record['level']} {record['message']}") is not None

"""The exit codes of the commands. docs/command-line.md has the same table."""

from barestream_client.address import AddressError
from barestream_client.answers import (
    AwayError,
    ForbiddenError,
    RefusedError,
    UnauthorizedError,
)

# 0 is success, 1 a finding or a wrong setting, and 2, of click, a wrong use.
NO_HUB = 3
AWAY = 4
NO_RIGHT = 5
REFUSED = 6
HAS_FAULT = 7
NOT_DELIVERED = 8

# As a shell says it of a process that a signal ended: 128 and the number of SIGINT, SIGPIPE or
# SIGTERM.
INTERRUPTED = 130
CLOSED_PIPE = 141
TERMINATED = 143

_CODES = {
    AddressError: NO_HUB,
    AwayError: AWAY,
    UnauthorizedError: NO_RIGHT,
    ForbiddenError: NO_RIGHT,
    RefusedError: REFUSED,
}


def code_of(error: Exception) -> int | None:
    """Return the exit code of a failure at a hub; None for any other error."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), None)

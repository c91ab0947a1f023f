"""What the publisher writes into an event, so that a stream can tell which it is. Pure.

The moment is one of the monotonic clock, which on one machine all processes share: the wall clock
may be set while a run goes on.
"""

import re
from typing import NamedTuple

_FORM = re.compile(rb"load ([0-9a-f]{8}) ([0-9]+) ([0-9]+) ([0-9]+)(?: \.*)?")

# The longest stamp: a run, 5 digits for the publisher, 10 for its number, 19 for the moment.
MOST_BYTES = len("load 01234567 99999 9999999999 9223372036854775807 ")


class Stamp(NamedTuple):
    """Who made an event, and when.

    Attributes:
        run: Which load it belongs to, as 8 hexadecimal digits.
        number: Which of its publisher's events it is, from 0 on.
        sent_ns: When it was sent, on the monotonic clock.
    """

    run: bytes
    publisher: int
    number: int
    sent_ns: int


def encode(stamp: Stamp, size_bytes: int) -> bytes:
    """Return the stamp as the data of an event, filled up to this size."""
    return (b"load %b %d %d %d " % stamp).ljust(size_bytes, b".")


def decode(data: bytes) -> Stamp | None:
    """Return the stamp that stands in an event's data; None where there is none."""
    found = _FORM.fullmatch(data)
    if not found:
        return None
    run, publisher, number, sent_ns = found.groups()
    return Stamp(run, int(publisher), int(number), int(sent_ns))

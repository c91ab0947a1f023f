"""The stamp that a publisher writes into an event, by which a stream identifies it. Pure.

Its time is that of the monotonic clock, which all processes of a machine share; the wall clock may
be set during a load.
"""

import re
from typing import NamedTuple

_FORM = re.compile(rb"load ([0-9a-f]{8}) ([0-9]+) ([0-9]+) ([0-9]+)(?: \.*)?")

# The longest stamp: a run, 5 digits for the publisher, 10 for the number, 19 for the time.
MOST_BYTES = len("load 01234567 99999 9999999999 9223372036854775807 ")


class Stamp(NamedTuple):
    """The origin and the time of an event.

    Attributes:
        run: The id of its load, 8 hexadecimal digits.
        number: Its number among its publisher's events, from 0 on.
        sent_ns: When it was sent, on the monotonic clock.
    """

    run: bytes
    publisher: int
    number: int
    sent_ns: int


def encode(stamp: Stamp, size_bytes: int) -> bytes:
    """Return the stamp as the data of an event, padded to this size."""
    return (b"load %b %d %d %d " % stamp).ljust(size_bytes, b".")


def decode(data: bytes) -> Stamp | None:
    """Return the stamp in an event's data; None if there is none."""
    found = _FORM.fullmatch(data)
    if not found:
        return None
    run, publisher, number, sent_ns = found.groups()
    return Stamp(run, int(publisher), int(number), int(sent_ns))

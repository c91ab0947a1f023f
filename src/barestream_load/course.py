"""The order of events that nobody numbered, as the streams of a process find it. Pure."""

from barestream_load.sequence import Sequence

# About 150 MB; who wants to hold more against each other numbers them, with --publish.
MOST_IDS = 1_000_000

# Streams that carry the same have each id twice at least; some may have lost it, or come late.
_LEAST_SHARE = 1.5


class Course:
    """The ids of events, in the order in which they first came to any stream.

    An event that the first stream has lost is lost to that one; to the others, which have it
    behind what follows it here, it is then out of order. That is rare: the first stream is mostly
    another one for each event.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}
        self._came = 0

    @property
    def is_common(self) -> bool:
        """Whether the streams carry the same events, so that one can be held against another."""
        ids = len(self._places)
        return 0 < ids < MOST_IDS and self._came >= _LEAST_SHARE * ids

    def enter(self, event_id: bytes, sequence: Sequence) -> None:
        """Enter an event into the sequence of the stream that got it."""
        self._came += 1
        place = self._places.get(event_id)
        if place is None:
            if len(self._places) >= MOST_IDS:
                return
            place = self._places[event_id] = len(self._places)
        sequence.take(place)

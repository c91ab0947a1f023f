"""The order of events without numbers, as the streams of a process receive them. Pure."""

from barestream_load.sequence import Sequence

# About 150 MB. To compare more events, number them with --publish.
MOST_IDS = 1_000_000

# Streams with the same events receive each id at least twice in all; some may have lost an event,
# or have opened late.
_LEAST_SHARE = 1.5


class Course:
    """The ids of events, in the order in which they first came to any stream.

    If the stream that is first loses an event, it counts as lost for that stream, and as out of
    order for the others. That is rare, because a different stream is first for most events.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}
        self._came = 0

    @property
    def is_common(self) -> bool:
        """Whether the streams carry the same events, so that they can be compared."""
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

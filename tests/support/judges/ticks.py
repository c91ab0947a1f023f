"""The ticks of a client must be complete, and on time."""

from collections.abc import Sequence

from support.clients.sse_client import Received, stamp_seconds


def stamps(events: Sequence[Received]) -> list[int]:
    """Return the seconds that the ticks stand for."""
    return [round(stamp_seconds(event)) for event in events]


def assert_whole(events: Sequence[Received], interval_seconds: int = 1) -> None:
    """Fail where a tick is missing, twice, or not after the one before it."""
    found = stamps(events)
    assert found, "no tick at all"
    assert found == list(range(found[0], found[-1] + 1, interval_seconds))


def lateness_ms(events: Sequence[Received]) -> list[float]:
    """Return arrival minus stamp of each live tick, sorted.

    The first event of a new stream is no live one: it is the newest tick at that moment, up to
    an interval old.
    """
    return sorted((event.at - stamp_seconds(event)) * 1000 for event in events[1:])

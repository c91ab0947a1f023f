"""A log and the streams that follow it: live and replay are one path."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from barestream.event_log import EventLog, Place
from barestream.frames import Event, encode, frame
from barestream.stream import Stream

# A stream catches up by writes of at most this: uvloop's own mark, above which it says "paused".
CATCH_UP_BYTES = 64 * 1024

# A client may come from a machine whose clock is ahead of ours: it waits for what follows its
# place. Further ahead than any synchronised clock the place is not to be believed.
MOST_AHEAD_MS = 60_000

GAP_TYPE = "barestream.gap"


class Follower:
    """A stream and the place up to which it has been sent the log."""

    def __init__(self, feed: "Feed", stream: Stream, place: Place) -> None:
        self._feed = feed
        self.stream = stream
        self.place = place

    def advance(self) -> None:
        """Send what follows the place, for as long as the client takes it."""
        log = self._feed.log
        while not self.stream.paused:
            if self.place < log.floor:
                gap = self._feed.gap(self.place)
                self.stream.write(frame(encode(gap)), events=1)
                self.place = log.floor
                continue
            batch = log.read(self.place, CATCH_UP_BYTES)
            if batch is None:
                break
            self.stream.write(frame(batch.body), batch.events)
            self.place = batch.place


class Feed:
    """One source's log, written to every stream that follows it.

    Args:
        log: The events that can be replayed.
        count: How many events lie after one place up to another, where the source can tell
            although the log no longer holds them.
    """

    def __init__(self, log: EventLog, count: Callable[[Place, Place], int] | None = None) -> None:
        self.log = log
        self._count = count
        self._followers: set[Follower] = set()

    def append(self, place: Place, body: bytes) -> None:
        """Add an event to the log, and send it to each follower that keeps up."""
        before = self.log.last
        self.log.append(place, body)
        live = frame(body)
        for follower in tuple(self._followers):
            if follower.stream.paused:
                continue
            if follower.place == before:
                follower.stream.write(live, events=1)
                follower.place = place
            else:
                follower.advance()

    def extend(self, entries: Iterable[tuple[Place, bytes]]) -> None:
        """Add many events, and send them by as few writes to a follower as catching up takes."""
        for place, body in entries:
            self.log.append(place, body)
        for follower in tuple(self._followers):
            follower.advance()

    def resume(self, last_event_id: str | None) -> Place:
        """Return the place from which a client goes on.

        Args:
            last_event_id: What the client sent. Without one, and with one that cannot be a
                place of this log, it starts with the newest event.
        """
        if last_event_id is not None:
            try:
                place = Place.parse(last_event_id)
            except ValueError:
                pass
            else:
                if place.ms <= self.log.last.ms + MOST_AHEAD_MS:
                    return place
        return self.log.before(1)

    @contextmanager
    def follow(self, stream: Stream, place: Place) -> Iterator[None]:
        """Send the stream what follows the place, for as long as the context lasts."""
        follower = Follower(self, stream, place)
        stream.on_resume(follower.advance)
        self._followers.add(follower)
        try:
            follower.advance()
            yield
        finally:
            self._followers.discard(follower)

    def gap(self, place: Place) -> Event:
        """Return the event that tells a client which events after its place are gone."""
        floor = self.log.floor
        missed = None if self._count is None else self._count(place, floor)
        data = json.dumps({"from": str(place), "to": str(floor), "missed": missed})
        return Event(data, id=str(floor), type=GAP_TYPE)

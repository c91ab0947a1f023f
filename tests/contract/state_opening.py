"""Where a connection starts, by what its client asked for."""

import json

from barestream.history.record import BEGIN, Place
from state_events import CURSOR, Got, events_of
from state_history import StateHistory, Wanted
from state_hub import Connection


class Opening:
    """One connection, and what is known of its start.

    Args:
        history: The history.
        connection: The connection.
        is_settled: Whether nothing is left that could be sent.
        in_parts: Whether each topic's part of a rewind is chosen at another time.

    Attributes:
        low: A place from which on it starts.
        high: A place at which it has started.
        new: The topics that are rewound.
        old: The others.
        is_whole: Whether it has asked for all that is left, or for what is not known.
        lost_id: The id after which it is sent a gap first; None without one.
    """

    def __init__(
        self,
        history: StateHistory,
        connection: Connection,
        *,
        is_settled: bool,
        in_parts: bool = False,
    ) -> None:
        self.in_parts = in_parts
        self.history = history
        self.connection = connection
        self.wish = connection.wish
        self.is_settled = is_settled
        self.events = events_of(connection)
        self.wanted = Wanted(self.wish.topics, self.wish.readable)
        self.asked = history.moments[connection.asked]
        began = connection.asked if connection.began is None else connection.began
        self.began = history.moments[began]
        self.nth = 0
        # The updates that were delivered, and up to where the client was told of gaps.
        self.delivered: set[Place] = set()
        self.told = BEGIN
        self.passed = BEGIN
        self.lost_id: str | None = None
        self.find_start()

    def find_start(self) -> None:
        """Find the places between which it starts, and what is rewound."""
        wish, header_id = self.wish, self.connection.header_id
        last_id = header_id or str(wish.last_id)
        cursor = CURSOR.fullmatch(last_id)
        rewinds, cut = bool(wish.rewind), bool(cursor and cursor[3])
        self.is_whole = False
        self.low, self.high = self.connection.asked_from, self.connection.began_from
        self.new: tuple[str, ...] = wish.topics if rewinds else ()
        self.old: tuple[str, ...] = () if rewinds else wish.topics
        if cut and cursor is not None and Place(int(cursor[1]), int(cursor[2])) == BEGIN:
            assert rewinds
            return
        if not last_id:
            return
        if last_id == "earliest":
            self.low = self.high = BEGIN
            self.is_whole = True
        elif cursor is not None:
            self.low = self.high = Place(int(cursor[1]), int(cursor[2]))
        elif not self.find_own_id(last_id):
            self.lost_id = last_id
            self.low = self.high = BEGIN
            self.is_whole = not rewinds
            return
        if rewinds and self.is_left(last_id):
            self.low = self.high = BEGIN
            self.new, self.old = wish.topics, ()
            return
        is_moved_on = bool(header_id) and header_id != str(wish.last_id)
        self.new = wish.new if cut or not is_moved_on else ()
        self.old = tuple(each for each in wish.topics if each not in self.new)

    def find_own_id(self, own_id: str) -> bool:
        """Return whether an id is that of an update that the history or a worker has."""
        places = self.history.with_id(own_id, self.wanted)
        alive = [place for place in places if place in self.began.here]
        before = [place for place in places if place in self.asked.here]
        is_lost = bool(self.events) and self.is_gap_from(self.events[0], own_id)
        if is_lost or not places:
            assert not (alive and before), "a cursor that the history has is not known"
            return False
        if not self.events and not alive:
            # Nobody knows yet.
            self.is_settled = False
        self.low, self.high = places[0], (alive or places)[0 if alive else -1]
        return True

    def is_left(self, last_id: str) -> bool:
        """Return whether the worker found that updates after a cursor have left the history.

        It does not, if it still has them.
        """
        if last_id == "earliest" or not self.events:
            return False
        event = self.events[0]
        if event.kind != "barestream.gap" or event.cursor != BEGIN:
            return False
        seen = json.loads(event.data)["from"]
        if seen is None:
            # The rewind is cut short.
            return False
        match = CURSOR.fullmatch(seen)
        assert match, f"from an id of nobody: {event}"
        self.lost_id = seen
        self.low = self.high = Place(int(match[1]), int(match[2]))
        assert self.began.floor(self.wanted.reader) > self.low, f"nothing has left: {event}"
        return True

    def is_gap_from(self, event: Got, seen: str) -> bool:
        return event.kind == "barestream.gap" and json.loads(event.data)["from"] == seen

    @property
    def following(self) -> Got | None:
        return self.events[self.nth] if self.nth < len(self.events) else None

    def check_lost_gap(self) -> None:
        if self.lost_id is None:
            return
        event = self.following
        if event is None:
            assert not self.is_settled, "no gap for a lost cursor"
            return
        assert self.is_gap_from(event, self.lost_id), "no gap for a lost cursor"
        to = Place.parse(json.loads(event.data)["to"])
        assert to <= self.history.moments[event.moment].last
        self.nth += 1

    @property
    def story(self) -> str:
        """What happened, for the reader of a failure."""
        connection = self.connection
        lines = [f"wish {self.wish}, header {connection.header_id!r}, settled {self.is_settled}"]
        lines.append(
            f"asked at {connection.asked}, began at {connection.began} from "
            f"{connection.began_from}, status {connection.status}, closed {connection.closed}"
        )
        for nth, moment in enumerate(self.history.moments):
            log = [str(each.place) for each in moment.log]
            lines.append(
                f"moment {nth}: floor {moment.floor(self.wanted.reader)}, log {' '.join(log)}"
            )
        lines += [
            f"update {each.place}: {each.topics} {'private ' * each.private}{each.own_id}"
            for each in self.history.updates
        ]
        return "\n".join([*lines, *map(str, self.events)])

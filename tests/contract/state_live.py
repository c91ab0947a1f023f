"""What a client must and may be sent live, by a list of all updates."""

import json
from urllib.parse import quote

from barestream.history.record import Place, Record
from barestream.mercure.selectors import Selectors
from state_events import Got
from state_history import Moment, Wanted
from state_opening import Opening


class LiveJudge(Opening):
    """Checks what follows a place, and the end of a stream."""

    def check_204(self) -> None:
        assert not self.new, "204 before a rewind"
        assert self.lost_id is None, "204 in place of a gap"
        # Of a client that asks for all that is left there must be nothing.
        upto = self.began.last if self.is_whole else self.high
        assert self.are_ended(upto), "204 before the end"
        for record in self.history.updates:
            if record.place > self.high and self.wanted.gets(record):
                assert not self.began.has(record, self.wanted), "204 before all was sent"

    def are_ended(self, upto: Place) -> bool:
        """Return whether all topics have ended for the client, at a time of the connection."""
        since_ms = self.asked.now_ms
        return self.wanted.is_exact and all(
            any(
                record.topics[0] == topic
                and self.wanted.may_read(record)
                and record.place <= upto
                and until_ms > since_ms
                for record, until_ms in self.history.ended
            )
            for topic in self.wanted.exact
        )

    def check_end(self) -> None:
        closed = self.connection.closed
        if closed is not None:
            place = self.history.moments[closed].last
            assert self.are_ended(place), "closed before the end"
            ends = [
                max(
                    record.place
                    for record, _ in self.history.ended
                    if record.topics[0] == topic and record.place <= place
                )
                for topic in self.wanted.exact
            ]
            self.check_passed(self.live_from, max(ends), self.history.moments[closed])
        elif self.is_settled:
            now = self.history.moments[-1]
            over = self.wanted.is_exact and all(
                topic in now.ends
                and now.ends[topic][1] > now.now_ms
                and self.wanted.may_read(now.ends[topic][0].record)
                for topic in self.wanted.exact
            )
            assert not over, "not closed after the end"

    def check_live(self, low: Place, high: Place) -> None:
        """Check the events that follow a place between these two."""
        self.live_from = high
        last = cursor = low
        ready = 0
        while (event := self.following) is not None:
            self.nth += 1
            moment = self.history.moments[event.moment]
            assert not event.in_rewind, f"in a rewind: {event}"
            if event.kind == "message":
                record = self.record_of(event)
                assert record.place > last, f"out of order, or again: {event}"
                last = cursor = record.place
                self.check_id(event, record, record.place)
                self.delivered.add(record.place)
            elif event.kind == "barestream.gap":
                self.check_gap(event, self.wanted, cursor)
                assert event.cursor is not None
                cursor = max(cursor, event.cursor)
            else:
                assert event.cursor is not None
                cursor = max(cursor, event.cursor)
                if event.kind == "barestream.ready":
                    ready += 1
                    self.check_ready(event)
            self.check_passed(high, cursor, moment)
        if self.is_settled:
            if self.connection.closed is None:
                self.check_passed(high, self.history.last, self.history.moments[-1])
            assert ready == ("ready" in self.wish.include), "ready: not once"
        assert ready <= 1

    def record_of(self, event: Got) -> Record:
        record = self.history.by_data[event.data]
        assert self.wanted.gets(record), f"not for this client: {event}"
        return record

    def check_id(self, event: Got, record: Record, cursor: Place, mark: str = "") -> None:
        """Check an id, of an event after which the stream stands at a cursor."""
        if not {"topic", "match"} & {*self.wish.include.split(",")}:
            is_own = record.own_id and not mark and cursor == record.place
            own = [record.own_id] if is_own else []
            # With the last event of a rewind the hub's own id comes.
            assert event.id in (*own, f"{cursor}{mark}"), f"id: {event}"
            return
        at = str(cursor)
        if mark:
            at += f"~{str(record.place)[1:]}"
        elif cursor != record.place:
            at += f"={str(record.place)[1:]}"
        parts = [at, quote(self.wanted.topic_of(record), safe="")]
        if "match" not in self.wish.include:
            parts += [quote(record.own_id, safe="")] if record.own_id else []
            assert event.id == ";".join(parts), f"id: {event}"
            return
        parts += [quote(record.own_id or "", safe=""), self.matches(record)]
        is_marked = event.id == ";".join([*parts, "end"])
        assert is_marked or event.id == ";".join(parts), f"id: {event}"
        topic = record.topics[0]
        if record.end_ms is None or topic not in self.wanted.exact:
            assert not is_marked, f"no end: {event}"
            return
        # A worker that is behind marks an end that the history has forgotten, but misses none.
        moment = self.history.moments[event.moment]
        held, until_ms = moment.ends.get(topic, (None, 0))
        if held is not None and held.record == record and until_ms > moment.now_ms:
            assert is_marked, f"an end without a mark: {event}"

    def matches(self, record: Record) -> str:
        """Return the numbers of the topics of a client's request that match an update."""
        numbers = [
            str(number)
            for number, topic in enumerate(self.wish.topics)
            if any(map(Selectors([topic]).match, record.topics))
        ]
        return ".".join(numbers)

    def check_gap(self, event: Got, wanted: Wanted, cursor: Place) -> None:
        """Check that a gap is true: something that a client wants has left after its cursor."""
        data = json.loads(event.data)
        upto = Place.parse(data["to"])
        moment = self.history.moments[event.moment]
        assert data["from"] is not None, f"a gap from nowhere: {event}"
        assert upto > max(self.told, cursor), f"told before: {event}"
        assert moment.floor(wanted.reader) >= upto, f"no such floor: {event}"
        if self.is_whole:
            assert upto > self.asked.floor(wanted.reader), f"it has asked for what is left: {event}"
        begin = self.history.begin
        may_be_hidden = wanted.has_rights and wanted.covered < {*wanted.exact}
        if wanted.is_exact and not may_be_hidden and {*moment.unknown.values()} == {begin}:
            assert any(
                cursor < each.place <= upto and wanted.gets(each) and not moment.has(each, wanted)
                for each in self.history.updates
            ), f"nothing has left: {event}"
        self.told = upto

    def check_passed(
        self, start: Place, upto: Place, moment: Moment, wanted: Wanted | None = None
    ) -> None:
        """Check that the client has got all up to a place, or knows that it is gone."""
        wanted = wanted or self.wanted
        for record in self.history.updates:
            place = record.place
            if place > upto:
                break
            if place <= max(start, self.passed) or place in self.delivered:
                continue
            if not wanted.gets(record):
                continue
            assert not moment.has(record, wanted), f"missing: {record}"
            was_gone = self.is_whole and not self.began.has(record, wanted)
            assert was_gone or self.told >= place, f"missing without a gap: {record}"
        self.passed = max(self.passed, upto)

    def check_ready(self, event: Got) -> None:
        had = {
            topic
            for place in self.delivered
            for topic in next(r for r in self.history.updates if r.place == place).topics
        }
        empty = [topic for topic in self.wanted.exact if topic not in had]
        assert json.loads(event.data) == {"empty": empty}, f"ready: {event}, not {empty}"

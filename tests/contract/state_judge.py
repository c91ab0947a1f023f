"""What a client must and may be sent, by a list of all updates."""

import json

from barestream.history.record import BEGIN, Place, Record
from barestream.history.topic_state import Rewind
from state_choice import Choosing, Chosen, chosen
from state_events import Got
from state_history import Moment, Wanted
from state_live import LiveJudge


class Judge(LiveJudge):
    """Checks one connection: its rewind, and what follows."""

    def check(self) -> None:
        """Check all that the client was sent."""
        connection = self.connection
        if connection.status == 204:
            self.check_204()
        elif self.new:
            self.check_rewound()
        else:
            self.check_lost_gap()
            self.check_live(self.low, self.high)
        if connection.status == 200:
            self.check_end()

    def check_rewound(self) -> None:
        """Check a rewind, which was chosen at some moment, and what follows it."""
        first = self.connection.asked
        moments = self.history.moments
        upto = [event.moment for event in self.events if not self.is_first_gap(event)][:1]
        last = upto[0] if upto else len(moments) - 1
        errors: list[tuple[int, AssertionError]] = []
        for nth in range(first, last + 1):
            for later in self.later_moments(nth, last):
                if self.try_rewound(moments[nth], moments[later], errors):
                    return
        raise max(errors, key=lambda error: error[0])[1]

    def is_first_gap(self, event: Got) -> bool:
        return self.lost_id is not None and self.is_gap_from(event, self.lost_id)

    def later_moments(self, nth: int, last: int) -> range:
        """Return the moments at which the later parts of a rewind may have been chosen."""
        new = Wanted(self.new, self.wish.readable)
        is_one = new.is_exact and (not self.in_parts or len(new.exact) == 1)
        return range(nth, nth + 1 if is_one else last + 1)

    def try_rewound(
        self, moment: Moment, later: Moment, errors: list[tuple[int, AssertionError]]
    ) -> bool:
        state = (self.nth, self.told, self.passed, {*self.delivered})
        try:
            self.check_rewound_at(moment, later)
        except AssertionError as error:
            errors.append((self.nth, error))
            self.nth, self.told, self.passed, self.delivered = state
            return False
        return True

    def check_rewound_at(self, moment: Moment, later: Moment) -> None:
        new = Wanted(self.new, self.wish.readable)
        when = Choosing(moment, later, self.in_parts)
        choice = chosen(when, new, _rewind(self.wish.rewind))
        old = Wanted(self.old, self.wish.readable) if self.old else None
        start = self.low if old else BEGIN
        self.live_from = moment.last
        self.check_lost_gap()
        cursor = start if old is None else self.check_old(old, moment)
        if not self.check_cut_gap(choice):
            return
        is_over = self.check_chosen(choice, old, moment, cursor)
        self.passed = BEGIN
        if is_over:
            self.check_live(moment.last, moment.last)
        else:
            assert not self.is_settled or self.connection.closed is not None, "not all was rewound"

    def check_old(self, old: Wanted, moment: Moment) -> Place:
        """Check what follows the cursor of the topics that are not new; return its end."""
        cursor = last = self.low
        while (event := self.following) is not None and event.in_rewind:
            if event.kind == "barestream.gap":
                if json.loads(event.data)["from"] is None:
                    break
                self.check_gap(event, old, cursor)
                assert event.cursor is not None
                cursor = max(cursor, event.cursor)
            elif event.kind == "message" and old.gets(record := self.record_of(event)):
                if not last < record.place <= moment.last:
                    # It is for a new topic.
                    break
                last = cursor = record.place
                self.check_id(event, record, cursor, "~")
                self.delivered.add(record.place)
            else:
                break
            self.nth += 1
            self.check_passed(self.high, cursor, self.history.moments[event.moment], old)
        if self.following is not None or self.is_settled:
            at = self.following.moment if self.following else len(self.history.moments) - 1
            self.check_passed(self.high, moment.last, self.history.moments[at], old)
        return cursor

    def check_cut_gap(self, choice: Chosen) -> bool:
        """Check the report of a truncation; return whether the client was sent more."""
        event = self.following
        if event is None:
            assert not (self.is_settled and choice.is_cut), "a truncation is not reported"
            return not choice.is_cut
        if not choice.is_cut:
            return True
        assert event.kind == "barestream.gap", "a truncation is not reported"
        assert json.loads(event.data)["from"] is None, "a truncation is not reported"
        assert event.in_rewind
        self.nth += 1
        return True

    def check_chosen(
        self, choice: Chosen, old: Wanted | None, moment: Moment, cursor: Place
    ) -> bool:
        """Check the updates of a rewind; return whether it is over."""
        # The topics that are not new have just brought the others.
        due = [each for each in choice.records if each.place not in self.delivered]
        told = False
        gone = False
        sent: list[Got] = []
        while due:
            event = self.following
            now = self.history.moments[event.moment if event else -1]
            if event is not None and event.kind == "barestream.gap" and not told:
                assert json.loads(event.data)["from"] is None, f"a gap in a rewind: {event}"
                told = True
                self.nth += 1
            elif event is not None and event.data == due[0].body.decode().split("\n")[0][6:]:
                record = self.record_of(due_event := event)
                assert record == due.pop(0)
                self.delivered.add(record.place)
                sent.append(due_event)
                self.nth += 1
            elif event is None and not self.is_settled:
                return False
            else:
                is_kept = due[0].place in choice.kept
                assert not is_kept, f"a kept value is missing: {due[0]}"
                assert due[0].place not in now.here, f"not rewound: {due[0]}, but {event}"
                due.pop(0)
                gone = True
        assert not gone or told or choice.may_vanish, "no gap, though updates left"
        assert not told or gone, "a gap, though nothing left"
        for nth, event in enumerate(sent):
            record = self.record_of(event)
            is_last = nth == len(sent) - 1
            if is_last and event.cursor is not None and not event.in_rewind:
                assert event.cursor >= max([r.place for r in moment_records(moment)], default=BEGIN)
                self.check_id(event, record, event.cursor)
            else:
                at = event.cursor
                assert event.in_rewind, f"not in a rewind: {event}"
                assert at is not None
                if old is None:
                    assert at == BEGIN, f"a rewind without others: {event}"
                else:
                    assert cursor <= at <= moment.last
                self.check_id(event, record, at, "~")
                assert not is_last or not self.is_settled or gone, f"the last one: {event}"
        return True


def moment_records(moment: Moment) -> list[Record]:
    return [held.record for held in moment.log]


def _rewind(text: str) -> Rewind:
    if text == "kept":
        return Rewind(kept=True)
    return Rewind(seconds=int(text[:-1])) if text.endswith("s") else Rewind(events=int(text))

"""What a rewind has, by naive rules."""

from typing import NamedTuple

from barestream.history.record import Place, Record
from barestream.history.topic_state import Rewind
from state_history import Moment, Wanted
from state_steps import MOST_REWOUND


class Chosen(NamedTuple):
    """The updates of a rewind.

    Attributes:
        records: The updates, oldest first.
        kept: The places of those that are kept values.
        is_cut: Whether there are more than a rewind has at most.
        may_vanish: Whether updates may leave before they are chosen, of which no gap tells.
    """

    records: list[Record]
    kept: set[Place]
    is_cut: bool
    may_vanish: bool


class Choosing(NamedTuple):
    """When the parts of a rewind are chosen.

    Attributes:
        first: The state of the history when the first topic's part is chosen, and the kept values
            of those that are not named.
        later: That when the others are.
        in_parts: Whether each topic's part is chosen at another time.
    """

    first: Moment
    later: Moment
    in_parts: bool


def chosen(when: Choosing, wanted: Wanted, rewind: Rewind) -> Chosen:
    """Return what a rewind has.

    Args:
        when: When it is chosen.
        wanted: The topics.
        rewind: How much of each.
    """
    upto = when.first.last
    found: dict[Place, Record] = {}
    kept: set[Place] = set()
    is_cut = False
    may_vanish = when.in_parts and len(wanted.exact) > 1
    values = when.first.values(wanted)
    later_values = when.later.values(wanted)
    for topic in dict.fromkeys([*wanted.exact, *values]):
        is_named = topic in wanted.exact
        is_first = topic == wanted.exact[0] if is_named else False
        state = when.first if is_first or (is_named and not when.in_parts) else when.later
        value = later_values.get(topic) if is_named and state is when.later else values.get(topic)
        if value is not None and value.place <= upto:
            found[value.place] = value
            kept.add(value.place)
        else:
            value = None
        if not is_named and not rewind.kept:
            continue
        records = [
            held.record
            for held in state.log
            if topic in held.topics and held.place <= upto and wanted.may_read(held.record)
        ]
        if rewind.events is not None:
            records = records[-rewind.events :]
        elif rewind.seconds is not None:
            since_ms = state.now_ms - 1000 * rewind.seconds
            records = [each for each in records if each.place.ms >= since_ms]
        else:
            records = [each for each in records if value is not None and each.place > value.place]
            if value is not None:
                # What has left after the kept value is missing too.
                kinds = (False, True) if topic in wanted.covered else (False,)
                is_cut |= max(state.floor_of(topic, private) for private in kinds) > value.place
        is_cut |= len(records) > MOST_REWOUND
        may_vanish |= any(each.private and topic not in wanted.covered for each in records)
        found |= {each.place: each for each in records[-MOST_REWOUND:]}
    return Chosen([found[place] for place in sorted(found)], kept, is_cut, may_vanish)

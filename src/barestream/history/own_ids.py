"""The ids that publishers gave to the updates of a history, in the memory of one process. Pure."""

from bisect import bisect_left
from collections.abc import Iterator

from barestream.history.entry import Entry
from barestream.history.record import Place, Record


class OwnIds:
    """Leads from each id to the updates with it."""

    def __init__(self) -> None:
        # Of each id the earliest update, and the later ones, oldest first, if there are any. These
        # are no deque: it takes 760 bytes, and most have one element.
        self._earliest: dict[str, Entry] = {}
        self._repeats: dict[str, list[Entry]] = {}
        self._repeats_count = 0

    def __len__(self) -> int:
        """Return how many updates have an id of their publisher."""
        return len(self._earliest) + self._repeats_count

    def newest(self, own_id: str) -> Entry | None:
        """Return the newest update with an id."""
        repeats = self._repeats.get(own_id)
        return repeats[-1] if repeats else self._earliest.get(own_id)

    def records(self, own_id: str) -> Iterator[Record]:
        """Yield the updates with an id, oldest first."""
        if own_id in self._earliest:
            yield self._earliest[own_id].record
            for entry in self._repeats.get(own_id, ()):
                yield entry.record

    def add(self, entry: Entry) -> None:
        """Add an update that is newer than the others; nothing changes if it has no id."""
        own_id = entry.record.own_id
        if own_id is None:
            return
        if own_id in self._earliest:
            self._repeats.setdefault(own_id, []).append(entry)
            self._repeats_count += 1
        else:
            self._earliest[own_id] = entry

    def remove(self, entry: Entry) -> None:
        """Remove an update; nothing changes if it has no id."""
        own_id = entry.record.own_id
        if own_id is None:
            return
        repeats = self._repeats.get(own_id)
        if repeats is None:
            del self._earliest[own_id]
            return
        if self._earliest[own_id] is entry:
            self._earliest[own_id] = repeats.pop(0)
        else:
            del repeats[bisect_left(repeats, entry.record.place, key=_place)]
        self._repeats_count -= 1
        if not repeats:
            del self._repeats[own_id]


def _place(entry: Entry) -> Place:
    return entry.record.place

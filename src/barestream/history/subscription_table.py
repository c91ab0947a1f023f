"""The subscriptions of a registry in the memory of one process. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from barestream.history.sorted_list import SortedList
from barestream.history.subscriptions import (
    LEASE_SECONDS,
    Member,
    RegistryBounds,
    Subscription,
)
from barestream.history.update import Update

LEASE_MS = int(1000 * LEASE_SECONDS)

# A name in the table: the id, and whether it is a twin (see SubscriptionTable).
Name = tuple[str, bool]

K = TypeVar("K")


class _Absence(NamedTuple):
    """Since when a subscription is away, and how long it is waited for."""

    since_ms: float
    grace_ms: int

    @property
    def due_ms(self) -> float:
        """When it ends."""
        return self.since_ms + self.grace_ms


@dataclass(slots=True)
class _Entry:
    """A subscription.

    Attributes:
        subscription: It, as it began.
        key: The id that names it in changes.
        worker: Whose it is.
        client: The page's own name, of the newest page that came back to it.
        patience_ms: How long it is waited for at least, once it is away.
        absence: None while it is active.
    """

    subscription: Subscription
    key: str
    worker: str
    client: str
    patience_ms: int = 0
    absence: _Absence | None = None


class SubscriptionTable:
    """The subscriptions, and the leases of the workers.

    A worker that was lost for a while may announce a subscription again that another has taken
    over meanwhile. Then there are two with one id: the later one is the twin. It counts, but the
    id is told once; the twin takes the place of the other one when that ends.

    Args:
        bounds: How many subscriptions there may be, and of how many characters.
    """

    def __init__(self, bounds: RegistryBounds) -> None:
        self._bounds = bounds
        self._characters = 0
        self._entries: dict[Name, _Entry] = {}
        # By the id that names them in changes.
        self._names: dict[str, Name] = {}
        # By selector and member; the members of a selector have an entry under it each.
        self._of_member: dict[tuple[str, str], dict[Name, None]] = {}
        self._of_selector: dict[str, dict[Name, None]] = {}
        self._members_of: dict[str, dict[str, None]] = {}
        self._of_person: dict[tuple[str, str], dict[Name, None]] = {}
        # Those that are away and that somebody can come back to, by identity and selector.
        self._awaited: dict[tuple[str, str], dict[Name, None]] = {}
        # Those that are away, by when they end, and by when they went away.
        self._due: SortedList[tuple[float, Name]] = SortedList()
        self._since: SortedList[tuple[float, Name]] = SortedList()
        # When each worker was heard of last.
        self._renewed_ms: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def renew(self, worker: str, now_ms: float) -> bool:
        """Renew the lease of a worker; return whether it had one."""
        was_known = worker in self._renewed_ms
        self._renewed_ms[worker] = now_ms
        return was_known

    def begin(self, worker: str, new: Subscription) -> list[Update] | None:
        """Let a subscription begin (Registry.change); return what tells it, None without room."""
        name = self._names.get(new.id) or self._awaited_like(new)
        if name is not None:
            entry = self._entries[name]
            self._come_back(name, entry)
            if entry.key != new.id:
                self._take_over(name, entry, new)
            entry.worker = worker
            return []
        if len(self) >= self._bounds.subscriptions or (
            self._characters + new.characters > self._bounds.bytes
        ):
            return None
        announcement = new.announcement
        of_member = bool(new.member) and (new.selector, new.member) not in self._of_member
        of_topic = new.selector not in self._of_selector
        is_twin = (new.id, False) in self._entries
        self._add((new.id, is_twin), _Entry(new, new.id, worker, new.client))
        if is_twin:
            return []
        return announcement.updates(begins=True, of_member=of_member, of_topic=of_topic)

    def go_away(self, key: str, grace_ms: int, now_ms: float) -> None:
        """Let a subscription wait for its subscriber, unless it is away already."""
        name = self._names.get(key)
        if name is not None and self._entries[name].absence is None:
            self._go_away(name, grace_ms, now_ms)

    def end(self, key: str) -> list[Update]:
        """End a subscription; return what tells it."""
        name = self._names.get(key)
        return [] if name is None else self.end_named(name)

    def end_named(self, name: Name) -> list[Update]:
        """End the subscription with this name in the table, if there is one; return what tells it.

        Its name may have become that of its twin.
        """
        entry = self._entries.get(name)
        if entry is None:
            return []
        self._remove(name, entry)
        subscription_id, is_twin = name
        twin = self._entries.get((subscription_id, True))
        if is_twin:
            return []
        if twin is not None:
            self._remove((subscription_id, True), twin)
            self._add(name, twin)
            return []
        old = entry.subscription
        of_member = bool(old.member) and (old.selector, old.member) not in self._of_member
        of_topic = old.selector not in self._of_selector
        return old.announcement.updates(begins=False, of_member=of_member, of_topic=of_topic)

    def renew_future(self, now_ms: float) -> None:
        """Begin anew what began in the future, because the clock was set back."""
        for worker, renewed_ms in self._renewed_ms.items():
            self._renewed_ms[worker] = min(renewed_ms, now_ms)
        while self._since and self._since.last[0] > now_ms:
            name = self._since.last[1]
            absence = self._entries[name].absence
            assert absence is not None  # noqa: S101 (only those that are away are in the list)
            self._wait_for(name, absence._replace(since_ms=now_ms))

    def lapse(self, upto_ms: float, steady_ms: float, grace_ms: int, now_ms: float) -> list[str]:
        """Let the subscriptions of workers go away whose lease is over; return these workers.

        A worker that had none that was active is not returned.
        """
        if steady_ms < LEASE_MS:
            return []
        lost: dict[str, None] = {}
        lapsed = [
            worker
            for worker, renewed_ms in self._renewed_ms.items()
            if renewed_ms + LEASE_MS <= upto_ms
        ]
        for worker in lapsed:
            del self._renewed_ms[worker]
        if lapsed:
            for name, entry in self._entries.items():
                if entry.absence is None and entry.worker in lapsed:
                    self._go_away(name, grace_ms, now_ms)
                    lost[entry.worker] = None
        return [*lost]

    def overdue(self, upto_ms: float, steady_ms: float) -> Iterator[Name]:
        """Yield those whose grace is over; the table must not change meanwhile."""
        for due_ms, name in self._due:
            if due_ms > upto_ms:
                return
            absence = self._entries[name].absence
            if absence is not None and absence.grace_ms <= steady_ms:
                yield name

    def is_overdue(self, name: Name, upto_ms: float, steady_ms: float) -> bool:
        """Return whether a subscription is there, and is one of those that overdue yields."""
        entry = self._entries.get(name)
        absence = None if entry is None else entry.absence
        return absence is not None and absence.due_ms <= upto_ms and absence.grace_ms <= steady_ms

    def of_person(
        self, identity: str, client: str, selectors: Sequence[str] | None
    ) -> Iterator[Name]:
        """Yield those of an identity, or of a client; the table must not change meanwhile."""
        for name in (
            self._of_person.get(_person(identity, client), ()) if identity or client else ()
        ):
            entry = self._entries[name]
            is_wanted = selectors is None or entry.subscription.selector in selectors
            if is_wanted and (not client or entry.client == client):
                yield name

    def wait_for(self, name: Name, after_ms: int, now_ms: float) -> None:
        """Set how long a subscription is waited for, if it is there and once it is away."""
        entry = self._entries.get(name)
        if entry is None:
            return
        if entry.absence is None:
            entry.patience_ms = after_ms
        else:
            self._wait_for(name, _Absence(now_ms, after_ms))

    def listed(self, selectors: Sequence[str] | None) -> list[Subscription]:
        """Return the subscriptions with these selectors, or all, each id once."""
        if selectors is None:
            return [self._shown(name) for name in self._entries if not name[1]]
        return [
            self._shown(name)
            for selector in dict.fromkeys(selectors)
            for name in self._of_selector.get(selector, ())
            if not name[1]
        ]

    def one(self, subscription_id: str) -> list[Subscription]:
        """Return the subscription with this id, or none."""
        name = (subscription_id, False)
        return [self._shown(name)] if name in self._entries else []

    def counts(self, selector: str) -> tuple[int, int]:
        """Return how many members and how many subscriptions a selector has."""
        members = self._members_of.get(selector, ())
        return len(members), len(self._of_selector.get(selector, ()))

    def members(self, selector: str) -> list[Member]:
        """Return the members of a selector."""
        found = []
        for member in self._members_of.get(selector, ()):
            names = self._of_member[selector, member]
            own = [self._entries[name].subscription for name in names]
            since_ms = min(each.since_ms for each in own)
            found.append(Member(member, own[0].announcement.member_data, len(own), since_ms))
        return found

    def _shown(self, name: Name) -> Subscription:
        entry = self._entries[name]
        return entry.subscription._replace(client=entry.client)

    def _awaited_like(self, new: Subscription) -> Name | None:
        """Return the one whose place a new one takes, if there is one."""
        names = self._awaited.get((new.identity, new.selector)) if new.identity else None
        if not names:
            return None

        def order(name: Name) -> tuple[bool, float]:
            entry = self._entries[name]
            assert entry.absence is not None  # noqa: S101 (they are away)
            is_same_page = bool(new.client) and entry.client == new.client
            return not is_same_page, entry.absence.due_ms

        return min(names, key=order)

    def _take_over(self, name: Name, entry: _Entry, new: Subscription) -> None:
        del self._names[entry.key]
        self._names[new.id] = name
        entry.key, entry.client, entry.patience_ms = new.id, new.client, 0

    def _go_away(self, name: Name, grace_ms: int, now_ms: float) -> None:
        entry = self._entries[name]
        self._set_absence(name, entry, _Absence(now_ms, max(grace_ms, entry.patience_ms)))

    def _come_back(self, name: Name, entry: _Entry) -> None:
        if entry.absence is not None:
            self._unset_absence(name, entry)

    def _wait_for(self, name: Name, absence: _Absence) -> None:
        entry = self._entries[name]
        self._unset_absence(name, entry)
        self._set_absence(name, entry, absence)

    def _set_absence(self, name: Name, entry: _Entry, absence: _Absence) -> None:
        entry.absence = absence
        self._due.add((absence.due_ms, name))
        self._since.add((absence.since_ms, name))
        if entry.subscription.identity:
            _put(self._awaited, (entry.subscription.identity, entry.subscription.selector), name)

    def _unset_absence(self, name: Name, entry: _Entry) -> None:
        absence = entry.absence
        assert absence is not None  # noqa: S101 (it is called for those that are away)
        entry.absence = None
        self._due.discard((absence.due_ms, name))
        self._since.discard((absence.since_ms, name))
        _drop(self._awaited, (entry.subscription.identity, entry.subscription.selector), name)

    def _add(self, name: Name, entry: _Entry) -> None:
        added = entry.subscription
        self._entries[name] = entry
        self._characters += added.characters
        self._names[entry.key] = name
        _put(self._of_selector, added.selector, name)
        _put(self._of_person, _person(added.identity, added.client), name)
        if added.member:
            _put(self._of_member, (added.selector, added.member), name)
            self._members_of.setdefault(added.selector, {})[added.member] = None
        if entry.absence is not None:
            self._set_absence(name, entry, entry.absence)

    def _remove(self, name: Name, entry: _Entry) -> None:
        """Remove an entry, whose absence stays noted in it."""
        removed = entry.subscription
        del self._entries[name]
        self._characters -= removed.characters
        del self._names[entry.key]
        _drop(self._of_selector, removed.selector, name)
        _drop(self._of_person, _person(removed.identity, removed.client), name)
        if removed.member:
            _drop(self._of_member, (removed.selector, removed.member), name)
            if (removed.selector, removed.member) not in self._of_member:
                members = self._members_of[removed.selector]
                del members[removed.member]
                if not members:
                    del self._members_of[removed.selector]
        if (absence := entry.absence) is not None:
            self._unset_absence(name, entry)
            entry.absence = absence


def _person(identity: str, client: str) -> tuple[str, str]:
    """Return who can end a subscription by ``leave``: an identity, else a page."""
    return (identity, "") if identity else ("", client)


def _put(names: dict[K, dict[Name, None]], key: K, name: Name) -> None:
    names.setdefault(key, {})[name] = None


def _drop(names: dict[K, dict[Name, None]], key: K, name: Name) -> None:
    own = names.get(key)
    if own is not None:
        own.pop(name, None)
        if not own:
            del names[key]

"""The subscriptions of a registry in memory, with a clock that a test sets."""

from barestream.history.subscription_table import LEASE_MS, SubscriptionTable
from barestream.history.subscriptions import Announcement, Notice, RegistryBounds, Subscription
from barestream.history.update import Update

NOW_MS = 1795365600_000
HOUR_MS = 3600_000
FAR_MS = 2**50


def subscription(name: str, who: str = "alice") -> Subscription:
    announcement = Announcement((Notice((name,), "", ""),), "presence", who, "occupancy", "t")
    return Subscription(name, "urn", "t", who, who, "", NOW_MS, announcement)


def kinds(updates: list[Update] | None) -> list[str | None]:
    """Return the types of updates; of those of a subscription, the data."""
    assert updates is not None
    assert all(update.private for update in updates)
    return [update.event.type or update.event.data for update in updates]


def table_with(*names: str) -> SubscriptionTable:
    table = SubscriptionTable(RegistryBounds())
    table.renew("w", NOW_MS)
    for name in names:
        table.begin("w", subscription(name))
    return table


def test_the_first_and_the_last_of_a_member_and_of_a_topic_are_told() -> None:
    table = table_with()
    assert kinds(table.begin("w", subscription("1"))) == [
        *("true", "barestream.joined", "barestream.occupied")
    ]
    assert kinds(table.begin("w", subscription("2"))) == ["true"]
    assert kinds(table.begin("w", subscription("3", "bob"))) == ["true", "barestream.joined"]
    assert kinds(table.end("1")) == ["false"]
    assert kinds(table.end("3")) == ["false", "barestream.left"]
    assert kinds(table.end("2")) == ["false", "barestream.left", "barestream.vacated"]
    assert table.end("2") == []


def test_a_grace_that_began_in_the_future_begins_again() -> None:
    table = table_with("1", "2")
    table.go_away("1", 10_000, NOW_MS + HOUR_MS)
    table.go_away("2", 10_000, NOW_MS - 9_000)
    table.renew_future(NOW_MS)
    assert list(table.overdue(NOW_MS + 1_000, FAR_MS)) == [("2", False)]
    assert list(table.overdue(NOW_MS + 9_999, FAR_MS)) == [("2", False)]
    assert list(table.overdue(NOW_MS + 10_000, FAR_MS)) == [("2", False), ("1", False)]


def test_a_lease_that_began_in_the_future_begins_again() -> None:
    table = table_with("1")
    table.renew("w", NOW_MS + HOUR_MS)
    table.renew_future(NOW_MS)
    assert table.lapse(NOW_MS + LEASE_MS - 1, FAR_MS, 0, NOW_MS) == []
    assert table.lapse(NOW_MS + LEASE_MS, LEASE_MS - 1, 0, NOW_MS) == []
    assert table.lapse(NOW_MS + LEASE_MS, LEASE_MS, 5_000, NOW_MS) == ["w"]
    assert list(table.overdue(NOW_MS + 4_999, FAR_MS)) == []
    assert list(table.overdue(NOW_MS + 5_000, FAR_MS)) == [("1", False)]
    assert not table.renew("w", NOW_MS)


def test_what_was_asked_to_wait_longer_is_waited_for_once() -> None:
    table = table_with("1")
    table.wait_for(("1", False), HOUR_MS, NOW_MS)
    table.go_away("1", 1_000, NOW_MS)
    assert list(table.overdue(NOW_MS + HOUR_MS - 1, FAR_MS)) == []
    # Its subscriber is back, by another stream.
    assert table.begin("w", subscription("2")) == []
    assert [each.id for each in table.listed(None)] == ["1"]
    table.go_away("2", 1_000, NOW_MS)
    assert list(table.overdue(NOW_MS + 1_000, FAR_MS)) == [("1", False)]


def test_nothing_is_left_in_the_tables_of_what_has_ended() -> None:
    table = table_with(*(str(number) for number in range(20)))
    for number in range(10):
        table.go_away(str(number), 1_000, NOW_MS)
    for number in range(10, 15):
        table.begin("w", subscription(str(100 + number)))
    # One comes back whose place another has taken.
    for name in map(str, range(20)):
        table.begin("w", subscription(name))
    for name in list(table.of_person("alice", "", None)):
        table.end_named(name)
    for name in list(table.of_person("alice", "", None)):
        table.end_named(name)
    assert len(table) == 0
    inner = {name: value for name, value in vars(table).items() if name != "_renewed_ms"}
    assert [name for name, value in inner.items() if name != "_bounds" and value] == []

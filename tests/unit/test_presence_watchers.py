"""The judges of the drill of presence: whom they take for told as left, and who blinked."""

import json

from drill.watcher import MemberWatcher, Seat, SubscriptionWatcher

NOWHERE = ("127.0.0.1", 0)
ANN, BOB = ("/rooms/1", "ann"), ("/rooms/1", "bob")


def told_of_member(kind: str, seat: Seat) -> bytes:
    data = json.dumps({"topic": seat[0], "member": {"id": seat[1]}})
    return f"event: barestream.{kind}\ndata: {data}\n\n".encode()


def told_of_subscription(nth: int, seat: Seat, *, active: bool) -> bytes:
    told = {"id": f"/{nth}", "topic": seat[0], "active": active, "payload": {"name": seat[1]}}
    return f"data: {json.dumps(told)}\n\n".encode()


def test_a_member_told_as_left_is_at_fault_only_while_it_is_there() -> None:
    there = {ANN, BOB}
    watcher = MemberWatcher(NOWHERE, "", there)
    for seat in (ANN, BOB):
        watcher._read(told_of_member("joined", seat))
    assert watcher.members("/rooms/1") == {"ann", "bob"}
    watcher._read(told_of_member("left", ANN))
    there.discard(BOB)
    watcher._read(told_of_member("left", BOB))
    assert watcher.left_though_there == [ANN]
    assert watcher.left == [BOB]
    assert watcher.members("/rooms/1") == set()
    assert watcher.told == {("joined", "/rooms/1"): 2, ("left", "/rooms/1"): 2}


def test_who_has_another_subscription_before_the_end_of_one_does_not_blink() -> None:
    watcher = SubscriptionWatcher(NOWHERE, "", {ANN, BOB})
    watcher._read(told_of_subscription(1, ANN, active=True))
    watcher._read(told_of_subscription(2, ANN, active=True))
    watcher._read(told_of_subscription(1, ANN, active=False))
    assert watcher.blinks == []
    assert watcher.ids("/rooms/1") == {"/2"}
    watcher._read(told_of_subscription(3, BOB, active=True))
    watcher._read(told_of_subscription(3, BOB, active=False))
    watcher._read(told_of_subscription(4, BOB, active=True))
    assert watcher.blinks == [BOB]
    assert watcher.told == {("began", "/rooms/1"): 4, ("ended", "/rooms/1"): 2}

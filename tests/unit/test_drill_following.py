import asyncio

from drill.following import readers_seconds, writers_seconds
from drill.subscriber import Habits, Subscriber
from support.clients.event_source import Visit
from support.judges.ledger import Post


def post(publisher: int, phase: int, made_at: float, accepted_at: float | None) -> Post:
    return Post(0, (0,), "", publisher, phase, None, made_at, accepted_at)


def subscriber(*heard_at: float, visits: list[tuple[float, float]]) -> Subscriber:
    """Return one that heard events at these moments, with visits from and to."""
    made = Subscriber(("127.0.0.1", 80), Habits(), "earliest", "seed", asyncio.Event())
    made.heard_at.extend(heard_at)
    made.visits.extend(Visit("", begin, end, 200, "left", 0) for begin, end in visits)
    return made


def test_the_writers_have_followed_when_the_slowest_publisher_had_an_update_accepted() -> None:
    posts = [
        post(1, phase=4, made_at=5, accepted_at=5.5),
        post(1, phase=4, made_at=6, accepted_at=12),
        # Its retry is an update of its own, made after the choice.
        post(2, phase=4, made_at=7, accepted_at=None),
        post(2, phase=4, made_at=11, accepted_at=13),
        post(1, phase=4, made_at=13, accepted_at=14),
    ]
    assert writers_seconds(posts, 4, chosen_at=10) == 3


def test_a_publisher_without_an_update_in_the_failover_is_not_waited_for() -> None:
    posts = [
        post(9, phase=0, made_at=1, accepted_at=1.5),
        post(1, phase=4, made_at=6, accepted_at=12),
        post(9, phase=4, made_at=50, accepted_at=51),
    ]
    assert writers_seconds(posts, 4, chosen_at=10) == 2


def test_the_readers_have_followed_when_the_last_open_stream_brought_an_event() -> None:
    stayed = subscriber(1, 9, 12, 20, visits=[(0, 30)])
    slower = subscriber(8, 12.5, 13, visits=[(0, 13)])
    assert readers_seconds([stayed, slower], chosen_at=10) == 2.5


def test_a_client_that_left_before_its_next_event_is_not_counted() -> None:
    stayed = subscriber(12, visits=[(0, 30)])
    left = subscriber(1, 25, visits=[(0, 11), (24, 26)])
    came_later = subscriber(14, visits=[(11, 30)])
    silent = subscriber(9, visits=[(0, 30)])
    assert readers_seconds([stayed, left, came_later, silent], chosen_at=10) == 2


def test_where_every_open_stream_ended_before_its_next_event_no_time_is_known() -> None:
    cut = subscriber(9, 14, visits=[(0, 11), (12, 30)])
    assert readers_seconds([cut], chosen_at=10) is None

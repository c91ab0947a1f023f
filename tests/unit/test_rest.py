from barestream.history.valkey.rest import MOST_SECONDS, REST_SECONDS, Rest
from fake_writer import FakeClock


def rests(*reads: tuple[float, int]) -> list[float]:
    """Return the rest after each read: seconds after the one before, and its updates."""
    now = FakeClock()
    rest = Rest(now)
    found = []
    for since_seconds, updates in reads:
        now.seconds += since_seconds
        rest.note(updates, is_whole=True)
        found.append(rest.seconds)
    return found


def test_updates_that_come_one_by_one_are_read_without_a_rest() -> None:
    assert rests(*[(0.005, 1)] * 1000) == [0] * 1000
    assert rests(*[(5, 0), (5, 1)] * 100) == [0] * 200


def test_a_burst_of_a_few_reads_is_not_delayed() -> None:
    assert rests((5, 1), (0.001, 10), (0.001, 20), (5, 1), (0.001, 10)) == [0] * 5


def test_many_updates_one_after_the_other_are_read_together() -> None:
    found = rests(*[(0.0004, 1)] * 20)
    assert found[-1] == REST_SECONDS
    # What it is then given by each read shows that it is still busy.
    assert rests(*[(0.0004, 1)] * 20, *[(0.006, 15)] * 50)[20:] == [REST_SECONDS] * 50


def test_the_rests_end_with_the_first_update_that_comes_late() -> None:
    assert rests(*[(0.0004, 1)] * 20, (MOST_SECONDS, 1))[-1] == 0


def test_a_reader_that_has_more_to_read_does_not_rest() -> None:
    now = FakeClock()
    rest = Rest(now)
    for _ in range(20):
        now.seconds += 0.001
        rest.note(100, is_whole=False)
    assert rest.seconds == 0

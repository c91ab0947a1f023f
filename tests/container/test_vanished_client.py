"""A client that vanished without a FIN, while its stream has heartbeats."""

from concurrent.futures import Future

from vanished_client import PATIENCE_SECONDS


def test_the_connection_of_a_vanished_client_is_closed_within_two_minutes(
    vanished_client: Future[float | None],
) -> None:
    seconds = vanished_client.result(PATIENCE_SECONDS + 60)
    print(f"let go of after {seconds} s")
    assert seconds is not None
    # The heartbeat of 15 s before it counts, in which it is not missed.
    assert seconds <= 120

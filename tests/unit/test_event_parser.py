from support.clients.event_parser import EventParser


def test_a_delay_that_comes_with_an_event_and_after_it_is_not_set_yet_at_the_event() -> None:
    parser = EventParser()
    delays = [len(parser.retries_ms) for _ in parser.feed(b"retry: 1\ndata: tick\n\nretry: 2\n")]
    assert delays == [1]
    assert parser.retries_ms == [1, 2]

"""What an audience notices of a reload, when its streams are drained in a paced way."""

from collections.abc import Callable

from compose import Stack
from drill.faults import reload_app
from publisher import KEY
from viewers.audience import Audience

STREAMS = 200
DRAIN_SECONDS = 5


def test_an_audience_notices_no_reload(figure: Callable[[str], None]) -> None:
    settings = {"drain_seconds": DRAIN_SECONDS, "streams_per_address": 2 * STREAMS}
    with (
        Stack(token_key=KEY, workers=2, **settings) as stack,
        Audience(stack.url, STREAMS) as audience,
    ):
        reload_app(stack)
        report = audience.leave()
    assert report.reconnects
    report.assert_unnoticed(DRAIN_SECONDS)
    figure(f"\n{report}")

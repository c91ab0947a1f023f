"""What `barestream top` shows."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from barestream.commands.rates import Interval, interval
from barestream.commands.top_view import Away, View, bound, duration, line, rate
from test_top_rates import figures, measured, worker

URL = "http://127.0.0.1/.well-known/mercure"


def shown(*, count: int = 20_000, **members: object) -> Interval:
    """Return what two workers did in a second, at large numbers."""
    large = {"streams": 20_000, "slow_streams": 100}
    before = [worker(pid, **large) for pid in (4_000_001, 2)]
    # Their loops have woken ten times.
    after = [
        worker(pid, count, loop_lag=measured(10, 10, 10), cpu_seconds=1.5, **large, **members)
        for pid in (4_000_001, 2)
    ]
    return interval(figures(1, *before), figures(2, *after))


def lines(view: View, width: int = 80, **options: object) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False, **options)  # type: ignore[arg-type]
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", range(24, 130, 7))
def test_no_cell_is_cut_at_any_width(width: int) -> None:
    found = lines(View(URL, shown(), None), width)
    assert max(map(cell_len, found)) <= width
    table = [each for each in found if each.startswith(("all ", "4000001 ", "2 "))]
    # No row goes on in a second line.
    assert len(table) == 3
    assert not [each for each in table if "…" in each or "40,000" not in table[0]]


def test_all_columns_fit_into_80_columns() -> None:
    titles = " ".join(lines(View(URL, shown(), None)))
    named = ["worker", "streams", "slow", "events", "deliveries", "publishes", "lag", "loop lag"]
    named += ["memory", "cpu"]
    assert [each for each in named if each not in titles] == []


def test_what_an_operator_must_see_is_above_the_table() -> None:
    away = {"answers": False, "accepts_updates": False, "since": 990.0, "failed_at": 1001.0}
    ill = {"history": {**away, "failed_because": "unreachable"}, "draining": True}
    found = lines(View(URL, shown(**ill), None))
    assert found[2:6] == [
        "Valkey does not answer all workers (unreachable), for 12 s.",
        "Worker 4000001 drains.",
        "Worker 2 drains.",
        "The history fails 40,000 publishes/s.",
    ]
    full = {**ill["history"], "answers": True, "failed_because": "OOM"}  # type: ignore[dict-item]
    [said] = [each for each in lines(View(URL, shown(history=full), None)) if "Valkey" in each]
    assert said == "Valkey does not accept updates of all workers (OOM), for 12 s."


def test_a_hub_that_is_away_is_said_with_the_cause_and_its_last_figures_stay() -> None:
    away = Away("127.0.0.1:80 takes no connection: nothing listens there", 75)
    found = "\n".join(lines(View(URL, shown(), away)))
    assert "The hub is away, for 1 min 15 s: 127.0.0.1:80 takes no connection" in found
    assert "40,000" in found
    assert "Valkey" not in found
    assert lines(View(URL, None, away))[0] == URL


def test_text_of_the_hub_does_not_command_the_terminal() -> None:
    hostile = interval(None, figures(1, worker(1), host="\x1b]0;title\x07", release="\x1b[2J"))
    assert "\x1b" not in "\n".join(lines(View(URL, hostile, Away("\x1b[2J", 0))))
    assert "\x1b" not in line(hostile)


def test_colours_can_be_turned_off() -> None:
    coloured = {"force_terminal": True, "color_system": "standard"}
    drains = shown(draining=True)
    assert "\x1b[35m" in "\n".join(lines(View(URL, drains, None), **coloured))
    without = "\n".join(lines(View(URL, drains, None), **coloured, no_color=True))
    assert "\x1b[35m" not in without


def test_without_a_terminal_an_interval_is_a_line() -> None:
    assert line(shown()).partition("  ")[2] == (
        "40,000 streams  200 slow  20,000 events/s  40,000 deliveries/s  40,000 publishes/s  "
        "lag p99 1 ms  2 workers  Valkey answers, for 1 min 42 s.  "
        "The history fails 40,000 publishes/s.  The hub refuses 40,000 publishes/s."
    )


def test_figures_are_written_as_people_read_them() -> None:
    assert [*map(rate, (None, 0, 0.04, 5, 99.94, 12_345.6))] == [
        *("-", "0", "0.0", "5.0", "99.9", "12,346"),
    ]
    assert [*map(duration, (0, 59.9, 60, 3661, 90_000, 7 * 86_400))] == [
        *("0 s", "59 s", "1 min", "1 h 1 min", "1 d 1 h", "7 d"),
    ]
    found = [
        bound(interval(figures(1, worker(1)), figures(2, worker(1, delivery_lag=each))).total.lag)
        for each in (measured(9, 9, 9), measured(0, 9, 9), measured(0, 0, 9), measured(0, 0, 0))
    ]
    assert found == ["1 ms", "1 s", "> 10 s", "-"]

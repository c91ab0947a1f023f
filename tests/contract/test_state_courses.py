"""Random courses over history and delivery, judged by a list of all updates, for both brokers.

Publishers, workers that read on at their own pace, clients that read slowly, are cut anywhere and
come back to any worker. The seed is STATE_SEED (16 if it is not set); STATE_EXAMPLES asks for more
courses. Time passes in courses of the broker in memory alone, whose clock a test can set.
"""

import os
import random
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from barestream.delivery import catching_up, feed, replay, resume, rewind_choice, rewinding, tail
from barestream.history.broker import Broker, HistoryBounds
from barestream.history.record import BEGIN
from random_courses import SetClock
from state_course import Course
from state_history import StateHistory
from state_steps import PLANS, Plan

Run = Callable[..., None]

EXAMPLES = int(os.environ.get("STATE_EXAMPLES", "40"))
SEED = int(os.environ.get("STATE_SEED", "16"))


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages, batches and writes be so small that a short course has several of each."""
    for module in (replay, rewinding):
        monkeypatch.setattr(module, "PAGE_MOST_EVENTS", 2)
    for module in (rewind_choice, rewinding):
        monkeypatch.setattr(module, "MOST_FETCHED", 2)
    for module in (catching_up, feed):
        monkeypatch.setattr(module, "MARK_BYTES", 60)
    monkeypatch.setattr(tail, "MOST_EVENTS", 3)
    # An answer for an unknown id waits for no time.
    monkeypatch.setattr(resume, "UNKNOWN_STEP_SECONDS", 1e-9)


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(PLANS)
def test_after_any_course_each_client_was_sent_what_the_rules_say(
    run: Run, home: str, monkeypatch: pytest.MonkeyPatch, plan: Plan
) -> None:
    bounds, steps, numbers = plan
    monkeypatch.setattr(rewind_choice, "MOST_PLACES", 1 if numbers % 2 else 20_000)
    clock = SetClock() if home == "local" else None
    if clock is None:
        # Nothing gets too old in a course.
        bounds = bounds | {"seconds": 3600}

    async def scenario(broker: Broker) -> None:
        begin = (await broker.read(BEGIN, 0)).floor
        history = StateHistory(HistoryBounds(bytes=10**9, **bounds), begin)
        await Course(broker, history, clock, random.Random(numbers)).run(steps)

    run(scenario, now=clock or time.time, size=10**9, **bounds)

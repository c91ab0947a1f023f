"""One run of the drill: clients and publishers, one fault after another, then the verdict."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import uvloop

from compose import Stack
from drill.faults import FAULTS, Fault
from drill.publishing import QUIET, TOPICS, Publishing
from drill.subscriber import Habits, Subscriber
from support.clients.publisher import KEY, Publisher
from support.judges.ledger import Ledger, Post
from support.judges.verdict import Account, Verdict, judge

# Each so manieth client follows the quiet topics alone.
QUIET_EVERY = 5

ARRIVAL_SECONDS = 3
CALM_SECONDS = 2

# How far back a worker remembers: less than the longest absences, more than a reconnection takes.
RING_SECONDS = 2

# A client that is not back by then will not come back.
MOST_SECONDS = 40

# What a fault loses was made just before it, and counts to it.
LEAD_SECONDS = 1

# The time for which events that must not arrive any more are waited for.
LINGER_SECONDS = 2

LAG_SECONDS = 0.1

# A publisher's backend serves its own users meanwhile: longer waits pile up there.
MOST_ANSWER_SECONDS = 3


@dataclass(frozen=True)
class Plan:
    """The size of a drill, and the seed of its random choices.

    Attributes:
        seconds: For how long it publishes at least.
        faults: What happens meanwhile, one after the other.
    """

    clients: int
    seconds: float
    events_per_second: float
    seed: int
    faults: tuple[Fault, ...] = FAULTS

    @property
    def phase_seconds(self) -> float:
        """How long it is at least from one fault to the next."""
        return self.seconds / (1 + len(self.faults))


@dataclass
class Phase:
    """The figures from one fault to the next.

    Attributes:
        began_at: When it was struck, in seconds since the run began.
        strike_seconds: How long the fault itself took.
        live_seconds: From its strike until each client had an event that was made after it;
            None where that was not within MOST_SECONDS.
        silence_seconds: The longest time that a client was without an event.
        lag_seconds: The longest that the drill's own clients were held up.
        gaps: How many gaps clients were sent.
        chosen_at: What the fault's strike returned.
    """

    fault: str
    began_at: float
    strike_seconds: float = 0
    live_seconds: float | None = None
    silence_seconds: float = 0
    lag_seconds: float = 0
    gaps: int = 0
    chosen_at: float | None = None


@dataclass
class Outcome:
    """The findings of a run."""

    plan: Plan
    phases: list[Phase]
    ledger: Ledger
    subscribers: Sequence[Subscriber]
    log: Account
    verdict: Verdict

    @property
    def closed(self) -> list[str]:
        """The answers after which an EventSource would not have come back."""
        return [answer for each in self.subscribers for answer in each.closed]

    @property
    def gaps(self) -> list[str]:
        """The gaps that clients were sent."""
        return [gap for each in self.subscribers for gap in each.gaps]

    @property
    def is_prompt(self) -> bool:
        """Whether no publisher waited longer for an answer than it may."""
        return max(self.ledger.answer_seconds.values()) <= MOST_ANSWER_SECONDS

    @property
    def is_well(self) -> bool:
        """Whether no event was lost, and every client and publisher was served."""
        verdict = self.verdict
        faults = verdict.lost + verdict.twice + verdict.disordered
        all_came_back = all(phase.live_seconds is not None for phase in self.phases)
        return not (faults or self.closed or self.gaps or self.ledger.refused) and all_came_back


def run(plan: Plan, say: Callable[[str], None], stack: Stack | None = None) -> Outcome:
    """Bring the service up, and run a drill on it.

    Args:
        plan: How large it is.
        say: Told how it goes.
        stack: The service; None for that of docker-compose.yml.
    """
    say("bringing the containers up")
    stack = stack or Stack(
        token_key=KEY,
        workers=2,
        # All clients share Docker's own address.
        streams_per_address=2 * plan.clients,
        # Quiet topics live on heartbeats, and whoever was away for long is answered from the
        # Docker: both can lose or double, so both must happen.
        heartbeat_seconds=0.5,
        ring_events=round(RING_SECONDS * plan.events_per_second),
    )
    with stack, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Course(stack, plan, say).run())


class _Course:
    def __init__(self, stack: Stack, plan: Plan, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._plan = plan
        self._say = say
        self._ledger = Ledger()
        self._phases: list[Phase] = []
        self._marks: list[list[int]] = []
        self._subscribers: list[Subscriber] = []
        self._began_at = time.monotonic()
        self._finishing = asyncio.Event()

    async def run(self) -> Outcome:
        plan = self._plan
        async with Publisher(self._stack.url) as publisher, asyncio.TaskGroup() as group:
            publishing = Publishing(publisher, self._ledger, plan.events_per_second, plan.seed)
            first = await publishing.post_to_all()
            self._subscribers = list(self._recruits(first))
            following = [group.create_task(each.run()) for each in self._subscribers]
            following.append(group.create_task(self._watch_lag()))
            publish = group.create_task(publishing.run())
            await self._phases_pass()
            publishing.stop()
            await publish
            self._end_phase()
            self._finishing.set()
            log = await self._await_the_last(await publishing.post_to_all())
            for task in following:
                task.cancel()
        verdict = self._judge(log)
        return Outcome(plan, self._phases, self._ledger, self._subscribers, log, verdict)

    def _recruits(self, first: Post) -> Iterable[Subscriber]:
        rng = random.Random(f"{self._plan.seed}/recruits")
        for nth in range(self._plan.clients):
            is_quiet = nth % QUIET_EVERY == 0
            is_late = rng.random() < 0.1
            topics = QUIET if is_quiet else tuple(rng.sample(range(len(TOPICS)), 2))
            habits = Habits(
                topics=topics,
                templates=tuple(rng.random() < 0.3 for _ in topics),
                heartbeat_events=rng.random() < (0.7 if is_quiet else 0.3),
                by_query=rng.random() < 0.25,
                arrives_seconds=rng.uniform(0, self._plan.seconds if is_late else ARRIVAL_SECONDS),
                stays_seconds=self._plan.phase_seconds,
            )
            from_begin = rng.random() < 0.5
            recruit = self._subscriber(nth, habits, "earliest" if from_begin else first.own_id)
            if not from_begin:
                recruit.numbers.append(first.number)
            yield recruit

    def _subscriber(self, nth: int, habits: Habits, cursor: str | None) -> Subscriber:
        assert cursor is not None
        seed = f"{self._plan.seed}/subscriber/{nth}"
        return Subscriber(self._stack.address, habits, cursor, seed, self._finishing)

    async def _phases_pass(self) -> None:
        self._begin_phase("none")
        await asyncio.sleep(ARRIVAL_SECONDS)
        await self._await_live()
        for fault in self._plan.faults:
            self._end_phase()
            phase = self._begin_phase(fault.name)
            await asyncio.sleep(LEAD_SECONDS)
            began_at = time.monotonic()
            phase.began_at = began_at - self._began_at
            phase.chosen_at = await asyncio.to_thread(fault.strike, self._stack)
            phase.strike_seconds = time.monotonic() - began_at
            await self._await_live()

    def _begin_phase(self, fault: str) -> Phase:
        at = time.monotonic() - self._began_at
        self._say(f"{at:5.1f} s: {fault}")
        self._ledger.phase = len(self._phases)
        self._phases.append(Phase(fault, at))
        self._marks.append([len(each.numbers) for each in self._subscribers])
        return self._phases[-1]

    def _end_phase(self) -> None:
        silences = [each.longest_silence_seconds() for each in self._subscribers]
        self._phases[-1].silence_seconds = max(silences)
        gaps = sum(len(each.gaps) for each in self._subscribers)
        self._phases[-1].gaps = gaps - sum(phase.gaps for phase in self._phases[:-1])

    async def _await_live(self) -> None:
        """Wait until no client is away against its will, and the phase has had its time."""
        phase = self._phases[-1]
        struck_at = time.monotonic()
        waiting = [each for each in self._subscribers if not each.away]
        while waiting and time.monotonic() < struck_at + MOST_SECONDS:
            await asyncio.sleep(0.05)
            waiting = [each for each in waiting if not each.away and each.newest_at < struck_at]
        now = time.monotonic() - self._began_at
        if waiting:
            self._say(f"{now:5.1f} s: {len(waiting)} clients are still without an event")
        else:
            phase.live_seconds = now - phase.began_at
        await asyncio.sleep(max(CALM_SECONDS, phase.began_at + self._plan.phase_seconds - now))

    async def _await_the_last(self, last: Post) -> Account:
        """Wait until every client has the last event, and return the whole history."""
        reader = self._subscriber(-1, Habits(), "earliest")
        reading = asyncio.create_task(reader.run())
        waiting = [*self._subscribers, reader]
        deadline = time.monotonic() + MOST_SECONDS
        while waiting and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            waiting = [each for each in waiting if last.number not in each.numbers]
        self._say(f"{len(waiting)} clients without the last event; waiting for what is too much")
        await asyncio.sleep(LINGER_SECONDS)
        reading.cancel()
        await asyncio.wait([reading])
        return Account("the log", frozenset(range(len(TOPICS))), reader.numbers)

    async def _watch_lag(self) -> None:
        while True:
            due_at = time.monotonic() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            late_seconds = time.monotonic() - due_at
            self._phases[-1].lag_seconds = max(self._phases[-1].lag_seconds, late_seconds)

    def _judge(self, log: Account) -> Verdict:
        accounts = [
            Account(
                f"client {nth}",
                frozenset(each.habits.topics),
                each.numbers,
                [marks[nth] for marks in self._marks],
                each.gap_marks,
            )
            for nth, each in enumerate(self._subscribers)
        ]
        return judge(self._ledger.posts, log, accounts)

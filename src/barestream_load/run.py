"""Runs a load: starts its processes, sends them orders, and adds up their findings."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

import uvloop

from barestream_load.crowd import LINGER_SECONDS, OPEN_SECONDS, Crowd
from barestream_load.findings import Findings, Outcome, Published
from barestream_load.orders import Begin, Finish, Progress, Stop
from barestream_load.plan import Plan
from barestream_load.publishers import ANSWER_SECONDS, Publishers

# How much longer than planned a process may take until it counts as stuck.
_GRACE_SECONDS = 20

_LOOK_SECONDS = 0.1


class BrokenRunError(Exception):
    """A process of the load ended unexpectedly or is stuck, so there is no result."""


class Watcher:
    """Is called with the progress of a load; this class ignores it."""

    def opening(self, settled: int, streams: int) -> None:
        """Is called while streams are being opened."""

    def streaming(self, elapsed_seconds: float, open_streams: int, events: int) -> None:
        """Is called once all streams were opened, or failed to open."""


def run(plan: Plan, watcher: Watcher) -> Outcome:
    """Run a load, until its end or until SIGINT or SIGTERM.

    Raises:
        BrokenRunError: A process of the load itself failed.
    """
    with _stoppable() as is_stopped, _Processes(plan) as processes:
        return _Run(plan, processes, watcher, is_stopped).run()


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Make the first signal end the load early, and the second one abort it."""
    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        if heard:
            raise KeyboardInterrupt
        heard.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, hear) for number in numbers]
    try:
        yield lambda: bool(heard)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _Processes:
    """The processes of a load, each with a pipe; they end when their pipes do.

    They are forks, which is safe because this process has no other thread. A new interpreter for
    each would take half a second of CPU on the machine that is measured.
    """

    def __init__(self, plan: Plan) -> None:
        self.crowds: list[Connection] = []
        self.publishers: Connection | None = None
        self._plan = plan
        self._processes: list[ForkProcess] = []

    def __enter__(self) -> "_Processes":
        for share in self._plan.shares:
            self.crowds.append(self._start(_crowd, self._plan, share))
        if self._plan.publishing:
            self.publishers = self._start(_publishers, self._plan)
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        for connection in self._pipes():
            connection.close()
        for process in self._processes:
            if failure:
                process.kill()
            process.join()

    def _pipes(self) -> list[Connection]:
        return [*self.crowds, *([self.publishers] if self.publishers else [])]

    def _start(self, work: Callable[..., None], *arguments: object) -> Connection:
        ours, theirs = multiprocessing.Pipe()
        # A pipe ends when its other side is closed everywhere, so the siblings must close it too.
        held = [*self._pipes(), ours]
        process = multiprocessing.get_context("fork").Process(
            target=_work, args=(held, work, *arguments, theirs), daemon=True
        )
        process.start()
        self._processes.append(process)
        theirs.close()
        return ours


def _work(held: Sequence[Connection], work: Callable[..., None], *arguments: object) -> None:
    # A terminal's Ctrl-C reaches all processes; only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for connection in held:
        connection.close()
    work(*arguments)


def _crowd(plan: Plan, share: range, control: Connection) -> None:
    Crowd(plan, share, control).run()


def _publishers(plan: Plan, control: Connection) -> None:
    assert plan.publishing  # noqa: S101 (it is what they were started for)
    uvloop.run(Publishers(plan, plan.publishing, control).run())


class _Run:
    def __init__(
        self, plan: Plan, processes: _Processes, watcher: Watcher, is_stopped: Callable[[], bool]
    ) -> None:
        self._plan = plan
        self._processes = processes
        self._watcher = watcher
        self._is_stopped = is_stopped
        self._progress = dict.fromkeys(processes.crowds, Progress(0, 0, 0))
        self._findings: list[Findings] = []

    def run(self) -> Outcome:
        plan = self._plan
        # A connection may wait for room in a queue, and then for its answer: two waits.
        opened_by = time.monotonic() + plan.ramp_seconds + 2 * OPEN_SECONDS + _GRACE_SECONDS
        while not self._is_stopped() and self._sum().settled < plan.streams:
            self._look(opened_by)
            self._watcher.opening(self._sum().settled, plan.streams)
        crowds, publishers = self._processes.crowds, self._processes.publishers
        _tell(Begin(), *crowds)
        begun_by = time.monotonic() + _GRACE_SECONDS
        while not all(each.has_begun for each in self._progress.values()):
            self._look(begun_by)
        if publishers:
            _tell(Begin(), publishers)
        began_at = time.monotonic()
        elapsed_seconds = 0.0
        while not self._is_over(elapsed_seconds):
            self._look(float("inf"))
            elapsed_seconds = time.monotonic() - began_at
            self._watcher.streaming(elapsed_seconds, self._sum().open, self._sum().events)
        published = None
        if publishers:
            _tell(Stop(), publishers)
            published = self._published(publishers)
        finish = Finish(published.numbers, published.untaken) if published else Finish([], [])
        _tell(finish, *crowds)
        judged_by = time.monotonic() + LINGER_SECONDS + _GRACE_SECONDS
        while len(self._findings) < plan.processes:
            self._look(judged_by)
        whole = Findings()
        for each in self._findings:
            whole.add(each)
        return Outcome(elapsed_seconds, whole, published)

    def _is_over(self, elapsed_seconds: float) -> bool:
        nobody_is_left = self._sum().settled == self._plan.streams and not self._sum().open
        return self._is_stopped() or nobody_is_left or elapsed_seconds >= self._plan.seconds

    def _sum(self) -> Progress:
        told = self._progress.values()
        settled, open_streams = sum(each.settled for each in told), sum(each.open for each in told)
        return Progress(settled, open_streams, sum(each.events for each in told))

    def _look(self, deadline: float) -> None:
        """Receive the crowds' messages for up to _LOOK_SECONDS."""
        if time.monotonic() > deadline:
            raise BrokenRunError("A process of the load does not answer.")
        waiting = [crowd for crowd in self._processes.crowds if crowd in self._progress]
        for crowd in wait(waiting, _LOOK_SECONDS):
            assert isinstance(crowd, Connection)  # noqa: S101 (they are what was waited for)
            try:
                told = crowd.recv()
            except EOFError:
                raise _ended() from None
            if isinstance(told, Findings):
                self._findings.append(told)
                del self._progress[crowd]
            else:
                self._progress[crowd] = told

    def _published(self, publishers: Connection) -> Published:
        if not publishers.poll(ANSWER_SECONDS + _GRACE_SECONDS):
            raise BrokenRunError("The publishers' process does not answer.")
        try:
            found = publishers.recv()
        except EOFError:
            raise _ended() from None
        assert isinstance(found, Published)  # noqa: S101 (they send nothing else)
        return found


def _tell(order: object, *processes: Connection) -> None:
    for process in processes:
        try:
            process.send(order)
        except BrokenPipeError:
            raise _ended() from None


def _ended() -> BrokenRunError:
    return BrokenRunError("A process of the load ended unexpectedly.")

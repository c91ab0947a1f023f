"""Trials: two trees of this project under one load, by turns."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from bench.broadcasting import START_SECONDS, rehearsed
from bench.client import Load
from bench.measurement import Measurement, Stand
from bench.rounds import Figures
from bench.servers import Ours, Tree


class Judged(NamedTuple):
    """A figure of a trial that may not become worse.

    Attributes:
        what: As the table calls it.
        figure: Its name.
        form: How it is written.
        more_is_better: Whether it is a rate, and not a cost.
    """

    what: str
    figure: str
    form: str
    more_is_better: bool = False


@dataclass(frozen=True)
class Trial:
    """A load on both trees, and what is judged of it.

    With turns in the load (`Load.turn_seconds`) both servers run at the same time, each with a
    client of its own, and the clients take turns of a fraction of a second: a disturbance that
    lasts longer slows both alike. Without turns the trees run one after the other.

    Attributes:
        name: What the load is.
        load: The load on each of the trees.
        figures: Takes the figures from a measurement.
        judged: The figures that are judged.
        pairs: How often in a round, each time on new processes: a process is a little faster or
            slower for its whole life than another one of the same code.
        broker: As for Ours.
        pinned: As for Stand.measure.
    """

    name: str
    load: Load
    figures: Callable[[Measurement], Figures]
    judged: Sequence[Judged]
    pairs: int
    broker: str = "local"
    pinned: bool = True

    @property
    def pair_seconds(self) -> float:
        """About how long a pair takes."""
        each_seconds = self.load.seconds + START_SECONDS
        return each_seconds if self.load.turn_seconds else 2 * each_seconds

    def pair(self, stand: Stand, first: Tree, second: Tree) -> tuple[Figures, Figures]:
        """Measure both trees once, and return the figures of each.

        Raises:
            Exception: A server did not start, or did not do what is measured.
        """
        if not self.load.turn_seconds:
            return self._alone(stand, first), self._alone(stand, second)
        with ExitStack() as stack:
            servers = [stack.enter_context(self._server(code)) for code in (first, second)]
            loads = [rehearsed(stand, server, self.load) for server in servers]
            loads[1] = replace(loads[1], turns_are_odd=True)
            measure = partial(stand.measure, pinned=self.pinned)
            pool = stack.enter_context(ThreadPoolExecutor(len(servers)))
            one, other = pool.map(measure, servers, loads)
        return self.figures(one), self.figures(other)

    def _alone(self, stand: Stand, code: Tree) -> Figures:
        with self._server(code) as server:
            load = rehearsed(stand, server, self.load)
            return self.figures(stand.measure(server, load, pinned=self.pinned))

    def _server(self, code: Tree) -> Ours:
        return Ours(broker=self.broker, code=code)

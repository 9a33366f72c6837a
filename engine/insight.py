"""Insight: which moment is looked into for whoever looks, and by what an Observer gets to know it. It counts
nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from engine.backends.backend import Backend
from engine.data.pool import Pool
from engine.goal import Goal, State
from engine.history import History
from engine.nn.model import Moment
from engine.nn.network import Network, Parameters
from engine.observer import Observer
from engine.replay import Replay
from engine.statistics import Move, Statistics
from engine.training import Trainer


@dataclass(frozen=True)
class Sources:
    """Where training keeps what is looked at: the trainer as it stands and its parameters, or those looked back at;
    the history; the examples of a branch by its number, which may have to grow; and the way to a moment that does
    not begin after another."""

    trainer: Trainer
    parameters: Callable[[], Parameters | None]
    history: History
    pool_of: Callable[[int], Pool]
    way: Callable[[History, Moment, Moment], Replay]


class Insight:
    """Looks into one network at the moment that is shown."""

    def __init__(self, network: Network, backend: Backend) -> None:
        self._observer = Observer(network, backend)
        self._at, self._passing = Moment(-1, -1), False

    @property
    def found(self) -> Statistics | None:
        """What was found last."""
        return self._observer.latest

    def due(self, goal: Goal, state: State, now: Moment, replay: Replay | None, within: bool) -> bool:
        """Whether there is something to find out. Of a moment that is only passed by, it is looked from time to
        time, but not within a step; of one that stands, once."""
        if state in ("preparing", "failed"):
            return False
        if goal.look is None:
            self._at, self._passing = now, state == "running"
        elif replay is None or not replay.exact or replay.wished != goal.look:
            return False
        else:
            self._at, self._passing = replay.at, False
        if self._passing and within and not self._observer.busy:
            return False
        return self._observer.due(self._at, goal.inside, self._passing)

    def advance(self, goal: Goal, given: Sources) -> None:
        """One piece, when something is due."""
        pool = given.pool_of(self._at.branch)
        if pool.done < 1:
            pool.grow()
            return
        at = goal.look or self._at

        def moves() -> Iterator[Move | None]:
            return _last_step(given, at, back=goal.look is not None)

        self._observer.advance(self._at, goal.inside, self._passing, pool.held_out, given.parameters, moves)


def _last_step(given: Sources, at: Moment, back: bool) -> Iterator[Move | None]:
    """What the step that led to `at` did; one looked back at is made once more, and so is one that another trainer
    made."""
    if not back and (move := given.trainer.last_move()) is not None:
        yield move
        return
    before = replace(at, step=at.step - 1)
    while (pool := given.pool_of(given.history.nearest(before)[0].branch)).done < 1:
        pool.grow()
        yield None
    yield from given.way(given.history, at, before).last_step()

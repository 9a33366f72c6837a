"""Onlookers: all that looks at a branch while it trains: a step taken apart, what is inside the layers, how well
the examples learnt from are read. It takes turns; it looks at nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

from engine.backends.backend import Backend
from engine.data.dataset import Examples
from engine.explain.step_trace import Dissection
from engine.goal import Goal, State
from engine.insight import Insight, Sources
from engine.nn.model import Moment
from engine.nn.network import Network, Parameters
from engine.recall import Recall
from engine.replay import Replay
from engine.slow_motion import SlowMotion
from engine.statistics import Statistics


@dataclass(frozen=True)
class Standing:
    """How training stands: goal, state, the moment, the way to the one looked back at, and whether a piece of a
    step is made."""

    goal: Goal
    state: State
    now: Moment
    replay: Replay | None
    within: bool


class Onlookers:
    """Those of one branch. before: those of the branch before it, of the same history."""

    def __init__(self, network: Network, learnt_from: Examples, backend: Backend, before: Onlookers | None) -> None:
        self._slow = SlowMotion(network, learnt_from, backend)
        self._insight: Insight = before._insight if before is not None else Insight(network, backend)
        self._recall = Recall(network, backend, learnt_from)

    @property
    def dissection(self) -> Dissection | None:
        """The step last taken apart."""
        return self._slow.found

    @property
    def statistics(self) -> Statistics | None:
        """What was found last inside the network."""
        return self._insight.found

    def due(self, standing: Standing) -> bool:
        """Whether any of them has something to do."""
        return self._apart_due(standing) or self._inside_due(standing) or self._recall.busy

    def advance(self, standing: Standing, given: Sources) -> float:
        """One piece of what is due. Returns until when, perf_counter() seconds, the next step should wait."""
        goal = standing.goal
        if self._apart_due(standing):
            back = standing.replay if goal.look is not None else None
            state = given.trainer.checkpoint if back is None else lambda: back.checkpoint
            return self._slow.advance(goal, standing.state, state)
        if self._inside_due(standing):
            self._insight.advance(goal, given)
        elif self._recall.busy:
            self._recall.advance(given.history)
        return 0.0

    def epoch_over(self, at: Moment, parameters: Parameters, seconds: float) -> None:
        """An epoch ended at a moment. seconds: after which a piece of what follows may end."""
        self._recall.begin(at, parameters, seconds)

    def _apart_due(self, standing: Standing) -> bool:
        return self._slow.due(standing.goal, standing.state, standing.now, standing.replay)

    def _inside_due(self, standing: Standing) -> bool:
        return self._insight.due(standing.goal, standing.state, standing.now, standing.replay, standing.within)

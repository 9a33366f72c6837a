"""SlowMotion: which step is taken apart for whoever looks, and how long training waits for it. It makes no step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Final

from engine.backends.backend import Backend
from engine.checkpoint import Checkpoint
from engine.data.dataset import Examples
from engine.explain.step_trace import Dissection
from engine.explain.step_tracer import Wanted, Watch
from engine.goal import Goal, State
from engine.nn.model import Moment
from engine.nn.network import Network
from engine.recipe import Recipe
from engine.replay import Replay

# Steps a second, at most, of which each is taken apart before it is made.
SLOW: Final = 1.0
_WITHOUT_STEPS: Final = ("preparing", "diverged", "failed")


class SlowMotion:
    """The steps of one branch, taken apart on one backend."""

    def __init__(self, network: Network, examples: Examples, backend: Backend) -> None:
        self._watch = Watch(network, examples, backend)
        self._wanted: Wanted | None = None

    @property
    def found(self) -> Dissection | None:
        """The step last taken apart."""
        return self._watch.found

    def due(self, goal: Goal, state: State, now: Moment, replay: Replay | None) -> bool:
        """Whether there is something to do for the step that would come after the moment shown."""
        self._wanted = _wanted(goal, state, now, replay)
        return self._watch.due(self._wanted)

    def advance(self, goal: Goal, state: State, checkpoint: Callable[[], Checkpoint]) -> float:
        """One piece, when something is due. Returns until when, perf_counter() seconds, the next step should wait,
        so that a step that goes slowly is seen before it is made."""
        wanted = self._wanted
        assert wanted is not None
        ended = self._watch.advance(wanted, lambda: fitting(checkpoint(), wanted.recipe))
        slow = state == "running" and goal.until is None and not wanted.fast
        return perf_counter() + 1 / goal.pace if ended and slow and goal.pace is not None else 0.0


def _wanted(goal: Goal, state: State, now: Moment, replay: Replay | None) -> Wanted | None:
    """What is looked at, if it stands there exactly."""
    if goal.inspection is None or state in _WITHOUT_STEPS:
        return None
    if goal.look is None:
        fast = state == "running" and (goal.pace or math.inf) > SLOW
        return Wanted(now, goal.recipe, goal.inspection, fast)
    if replay is None or not replay.exact or replay.wished != goal.look:
        return None
    return Wanted(goal.look, goal.recipe, goal.inspection, False)


def fitting(checkpoint: Checkpoint, recipe: Recipe) -> Checkpoint:
    """The checkpoint as a recipe takes it up: what one optimizer remembers means nothing to another."""
    kinds = {name.partition(".")[0] for name in checkpoint.memory}
    return checkpoint if kinds == {*recipe.optimizer.vectors, "count"} else replace(checkpoint, memory={})

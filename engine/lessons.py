"""Lessons: what each branch learns from: examples, made piece by piece, and trainers on them. It makes no step."""

from __future__ import annotations

from functools import partial
from typing import Final

from engine.backends.backend import Backend
from engine.checkpoint import Checkpoint
from engine.data.pool import Fixed, Lesson, Pool, Pools
from engine.history import History
from engine.kept import Origin
from engine.nn.model import Moment
from engine.nn.network import Network, Parameters
from engine.recipe import Recipe
from engine.replay import Replay
from engine.slow_motion import fitting
from engine.training import Trainer

SLICE: Final = 0.010  # seconds after which a step or judgement may be left for something else


class Lessons:
    """backend: where trainers are made; another one when a device is lost. origins: of every branch, by number."""

    def __init__(self, backend: Backend) -> None:
        self.backend, self.origins = backend, list[Origin]()
        self._pools = Pools()
        self._network: Network | None = None
        self._wished: Lesson | None = None

    def wish(self, network: Network, lesson: Lesson) -> None:
        """The network that learns, and what the branch that is trained, or is to begin, learns from."""
        self._network, self._wished = network, lesson

    def need(self) -> None:
        """Only the examples of the branch that is wished for are needed."""
        assert self._wished is not None
        self._pools.need(self._wished)

    @property
    def wished(self) -> Pool:
        """The examples of the branch that is wished for, which may have to grow."""
        assert self._wished is not None
        return self._pools.of(self._wished)

    def of(self, branch: int) -> Pool:
        """The examples that a branch learns from; before there is any, those that are wished for."""
        known = 0 <= branch < len(self.origins)
        return self._pools.of(self.origins[branch].lesson) if known else self.wished

    def grow(self, left: int | None) -> bool:
        """A piece of the examples wished for, or else of those of the branch left; whether all were there."""
        for pool in [self.wished] if left is None else [self.wished, self.of(left)]:
            if pool.done < 1:
                pool.grow()
                return False
        return True

    def trainer(
        self,
        recipe: Recipe,
        checkpoint: Checkpoint | None = None,
        values: Parameters | None = None,
        lesson: Lesson | None = None,
    ) -> Trainer:
        """A trainer on the examples of a lesson, those wished for if none is given. What one optimizer remembers
        means nothing to another."""
        assert self._network is not None
        if checkpoint is not None:
            checkpoint = fitting(checkpoint, recipe)
        pool = self.wished if lesson is None else self._pools.of(lesson)
        source, held_out = Fixed(pool.training), pool.held_out
        return Trainer(self._network, source, recipe, self.backend, values, held_out, checkpoint, slice=SLICE)

    def replay(self, history: History, wished: Moment, before: Moment | None = None) -> Replay:
        """The way to a moment, on the examples of its branch. before: see Replay."""
        assert self._wished is not None
        lesson = self.origins[history.nearest(before or wished)[0].branch].lesson
        self._pools.need(self._wished, lesson)
        return Replay(history, wished, partial(self.trainer, lesson=lesson), before)

"""Replay: the way from a kept moment of the history to one that was not kept, step by step, exactly as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from time import perf_counter, sleep
from typing import Final

from engine.data.pool import Pool
from engine.nn.model import Moment
from engine.nn.network import Parameters
from engine.training.checkpoint import Checkpoint
from engine.training.history import History
from engine.training.layer_statistics import Move
from engine.training.recipe import Recipe, endless
from engine.training.trainer import Judged, Step, Trainer


class Replay:
    """Stands at the nearest kept moment at first, and arrives at `wished`.

    trainer: gives a trainer that goes on from a checkpoint by a recipe, on the examples of then. before: a moment
    that the way must not begin after, None for `wished`.
    """

    def __init__(
        self,
        history: History,
        wished: Moment,
        trainer: Callable[[Recipe, Checkpoint], Trainer],
        before: Moment | None = None,
    ) -> None:
        self.wished, self._history, self._make = wished, history, trainer
        self.at, self.checkpoint = history.nearest(before or wished)
        self.trainer: Trainer | None = None
        self._recipe: Recipe | None = None
        self._pieces: Iterator[Step | Judged | None] = iter(())

    @property
    def exact(self) -> bool:
        """Whether it has arrived."""
        return self.at.step >= self.wished.step

    @property
    def parameters(self) -> Parameters:
        """The parameters where it last stood still: at the kept moment, or at its end."""
        return self.checkpoint.parameters

    def advance(self) -> None:
        """One piece of a step further."""
        recipe = self._history.recipe_at(self.at)[0]
        if recipe is not self._recipe:
            self._turn(recipe)
        assert self.trainer is not None
        if isinstance(next(self._pieces, None), Step):
            self.at = replace(self.at, step=self.trainer.made)
            if self.exact:
                self.checkpoint = self.trainer.checkpoint()

    def last_step(self) -> Iterator[Move | None]:
        """Goes all the way: None after each piece of it, and then what the step that led there did; None where
        there was none, as the way began there."""
        while not self.exact:
            self.advance()
            yield None
        yield None if self.trainer is None else self.trainer.last_move()

    def _turn(self, recipe: Recipe) -> None:
        """Take up the recipe of the moment it stands at. What was made once is made again whatever may end a run:
        time, for one, passes otherwise."""
        self._recipe = recipe
        if self.trainer is not None:
            self.checkpoint = self.trainer.checkpoint()
        self.trainer = self._make(endless(recipe), self.checkpoint)
        self._pieces = self.trainer.pieces()


PASSING: Final = 0.050  # seconds after which a moment looked at is not only passed by


class LookBack:
    """way: the way to a moment, on the examples of its branch. pool_of: a branch's examples, which may have
    to grow first."""

    def __init__(self, way: Callable[[History, Moment], Replay], pool_of: Callable[[int], Pool]) -> None:
        self._way, self._pool_of = way, pool_of
        self.replay: Replay | None = None
        self._turned_at = 0.0

    def forget(self) -> None:
        """Look at nothing."""
        self.replay = None

    def due(self, look: Moment) -> bool:
        """Whether there is something left of the way there."""
        return self.replay is None or self.replay.wished != look or not self.replay.exact

    def turn(self, history: History, look: Moment) -> None:
        """Show the kept moment nearest to this one, unless this is the one looked at anyway."""
        if self.replay is None or self.replay.wished != look:
            self.replay, self._turned_at = self._way(history, look), perf_counter()

    def advance(self, history: History, look: Moment, ends: float) -> None:
        """A piece of the way, once the moment is not only passed by: to set out takes as long as some pictures of a
        drag. Until then it waits, at most until perf_counter() is `ends`."""
        self.turn(history, look)
        assert self.replay is not None
        waiting = self._turned_at + PASSING - perf_counter()
        if (pool := self._pool_of(self.replay.at.branch)).done < 1:
            pool.grow()
        elif self.replay.exact:
            return
        elif waiting > 0:
            sleep(min(waiting, max(0.0, ends - perf_counter())))
        else:
            self.replay.advance()

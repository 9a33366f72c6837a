"""Replay: the way from a kept moment of the history to one that was not kept, step by step, exactly as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from engine.checkpoint import Checkpoint
from engine.history import History
from engine.nn.model import Moment
from engine.nn.network import Parameters
from engine.recipe import Recipe, endless
from engine.statistics import Move
from engine.training import Judged, Step, Trainer


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

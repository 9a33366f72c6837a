"""Watch: when a step is taken apart while training goes on: at once where it stands or goes slowly, now and then
where it goes fast. It does not take it apart itself."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

from engine.backends.backend import Backend, numpy_backend
from engine.backends.cuda import DeviceFault
from engine.checkpoint import Checkpoint
from engine.data.dataset import Examples
from engine.dissection.dissection import Dissection, Inspection
from engine.dissection.dissector import Dissector, Standing
from engine.history import Moment
from engine.network import Network
from engine.recipe import Recipe

# Where training goes fast, a step is taken apart at most so often, seconds, and takes no more than this share.
EVERY: Final = 0.5
SHARE: Final = 0.1


@dataclass(frozen=True)
class Wanted:
    """The step after a moment, by a recipe, and what of it is looked at; fast: training goes on meanwhile, faster
    than each step could be followed."""

    moment: Moment
    recipe: Recipe
    inspection: Inspection
    fast: bool

    def same(self, other: Wanted | None) -> bool:
        """Whether the other is the same step, looked at in the same way."""
        return other is not None and replace(other, fast=self.fast) == self


class Watch:
    """Holds the last step that was taken apart, and the way to the next."""

    def __init__(self, network: Network, examples: Examples, backend: Backend) -> None:
        self._network, self._examples = network, examples
        self._dissector = Dissector(network, examples, backend)
        self.found: Dissection | None = None
        self._done: Wanted | None = None
        self._doing: Wanted | None = None
        self._pieces: Generator[None, None, Dissection | None] = _nothing()
        self._spent, self._next = 0.0, 0.0

    def due(self, wanted: Wanted | None) -> bool:
        """Whether there is something to do for what is wanted now."""
        if wanted is None or wanted.same(self._done):
            return False
        if not wanted.fast or self._serves(wanted):
            return True
        asked_anew = self._done is None or wanted.inspection != self._done.inspection
        return asked_anew or perf_counter() >= self._next

    def advance(self, wanted: Wanted, checkpoint: Callable[[], Checkpoint]) -> bool:
        """One piece; whether that was the last. checkpoint: gives the exact state at the moment."""
        begun = perf_counter()
        if not self._serves(wanted):
            standing = Standing(wanted.moment, wanted.recipe, checkpoint())
            self._doing, self._spent = wanted, 0.0
            self._pieces = self._dissector.pieces(standing, wanted.inspection)
        ended = self._piece()
        self._spent += perf_counter() - begun
        if ended:
            self._done, self._doing = self._doing, None
            self._next = perf_counter() + max(EVERY, self._spent * (1 / SHARE - 1))
        return ended

    def _serves(self, wanted: Wanted) -> bool:
        """Whether what is under way is good for what is wanted; training that goes fast has left its moment."""
        doing = self._doing
        if doing is None or not wanted.fast:
            return wanted.same(doing)
        return (doing.recipe, doing.inspection) == (wanted.recipe, wanted.inspection)

    def _piece(self) -> bool:
        try:
            next(self._pieces)
        except StopIteration as stop:
            self.found = self.found if stop.value is None else stop.value
            return True
        except DeviceFault as fault:
            # What comes next is taken apart by the processor; training itself says what has happened.
            self._dissector = Dissector(self._network, self._examples, numpy_backend(str(fault)))
            self._doing = None
        return False


def _nothing() -> Generator[None, None, None]:
    yield from ()

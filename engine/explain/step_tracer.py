"""Dissector: takes one step apart, piece by piece, as somebody looks at it. It does not train."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

import numpy as np

from engine.backends.backend import Backend, numpy_backend
from engine.backends.cuda import DeviceFault
from engine.data.dataset import Examples
from engine.explain.step_passes import Making, Passes, Trying
from engine.explain.step_trace import Dissection, ExamplePass, HostArray, Inspection, Nudged, Place, Update, Worked
from engine.nn.layers import Products
from engine.nn.losses import targets
from engine.nn.model import Moment
from engine.nn.network import Network
from engine.training.checkpoint import Checkpoint
from engine.training.optimizers import Line, Moved
from engine.training.recipe import Recipe
from engine.training.trainer import Coming, coming

# What the memory of a batch's pass may take to be kept from one step to the next.
KEPT_BYTES = 200_000_000


@dataclass(frozen=True, eq=False)
class Standing:
    """Where a step begins: at which moment, by which recipe it is made, and the exact state."""

    moment: Moment
    recipe: Recipe
    checkpoint: Checkpoint


class Dissector:
    """Takes steps of one network apart, on one backend, from the same examples."""

    def __init__(self, network: Network, examples: Examples, backend: Backend) -> None:
        self.network, self.examples, self.backend = network, examples, backend
        self._making: Making | None = None
        self._passes: Passes | None = None
        self._trying: Trying | None = None
        self._shapes = learnt_shapes(network)
        self._made: tuple[Moment, Recipe, Update] | None = None

    def pieces(self, at: Standing, inspection: Inspection) -> Generator[None, None, Dissection | None]:
        """The coming step, taken apart; None where no step comes. What was made of the same step is kept, so that
        another example or value of it comes at once. Raises DeviceFault."""
        step = coming(at.recipe, len(self.examples), at.checkpoint.steps)
        if step is None:
            return None
        images, labels = self.examples.images[step.places], self.examples.labels[step.places]
        shares = targets(labels, len(self.network.classes))
        found = Dissection(
            at.moment, at.recipe, self.network, step.epoch, step.places, np.zeros(0), None, None, None
        )
        try:
            update = yield from self._update(at, step, images, shares)
            look = self._possible(inspection, len(images))
            errors, seen, sums, products = yield from self._pass(at, look, images, shares)
            found = replace(found, errors=errors, update=update, seen=seen)
            if look.weight is None:
                return found
            worked = _worked(self.network, at, update, look.weight, sums, products)
            turn = (at.checkpoint.steps + 1, step.epoch + 1, tuple(int(place) for place in step.places))
            nudged = yield from self._try(look, update, images, shares, turn)
        except ValueError as error:  # such as a network too large to keep all values of
            return replace(found, words=str(error))
        return replace(found, worked=replace(worked, nudged=nudged))

    def _possible(self, inspection: Inspection, batch: int) -> Inspection:
        """What of it there is: whoever looks may have had a longer batch or another network before."""
        example, weight = min(max(inspection.example, 0), batch - 1), inspection.weight
        if weight is not None:
            shape = self._shapes.get(weight[0], ())
            there = len(shape) == len(weight[1]) and all(
                0 <= at < n for at, n in zip(weight[1], shape, strict=True)
            )
            weight = weight if shape and there else None
        return replace(inspection, example=example, weight=weight)

    def _update(
        self, at: Standing, step: Coming, images: HostArray, shares: HostArray
    ) -> Generator[None, None, Update]:
        if self._made is not None and self._made[:2] == (at.moment, at.recipe):
            return self._made[2]
        if self._making is None or self._making.recipe != at.recipe:
            self._making = Making(self.network, self.backend, at.recipe)
        update = yield from self._making.make(at.checkpoint, step, images, shares)
        self._made = at.moment, at.recipe, update
        if self._large(len(images)):
            self._making = None
        return update

    def _large(self, batch: int) -> bool:
        """Whether what passes a batch is laid out anew each time, rather than take memory between two steps."""
        return self.network.picture_bytes * batch > KEPT_BYTES

    def _pass(
        self, at: Standing, look: Inspection, images: HostArray, shares: HostArray
    ) -> Generator[None, None, tuple[HostArray, ExamplePass, HostArray | None, Products | None]]:
        """The batch's errors, the followed example, and of the value looked at every example's part of its gradient
        and what the followed example's is the sum of."""
        passes = self._passes
        if passes is None or passes.batch != len(images) or passes.recipe != at.recipe:
            passes = self._passes = Passes(self.network, self.backend, at.recipe, len(images))
        passes.load(at.checkpoint.parameters)
        errors, sums = np.zeros(len(images), np.float32), np.zeros(len(images))
        seen, mine, summed = None, None, look.weight is not None
        for start in passes.chunks(look.example):
            yield from passes.through(images, shares, start, at.checkpoint.steps)
            part = slice(start, start + passes.chunk)
            errors[part] = passes.errors()
            if seen is None:
                seen = passes.seen(look.example, start, shares, look.maps)
            products = passes.products(look.weight) if look.weight is not None else None
            if products is None:
                summed = False
                continue
            sums[part] = products.sums()
            if start <= look.example < start + passes.chunk:
                at_example = slice(look.example - start, look.example - start + 1)
                inputs, gradients = products.inputs[at_example].copy(), products.gradients[at_example].copy()
                mine = Products(inputs, gradients, products.divisor)
            yield
        assert seen is not None
        if self._large(passes.chunk):
            self._passes = None
        return errors, seen, sums if summed else None, mine

    def _try(
        self,
        look: Inspection,
        update: Update,
        images: HostArray,
        shares: HostArray,
        turn: tuple[int, int, tuple[int, ...]],
    ) -> Generator[None, None, Nudged | None]:
        assert look.weight is not None
        if self._trying is None or self._trying.batch != len(images):
            self._trying = Trying(self.network, len(images))
        found = yield from self._trying.nudged(look.weight, update.before, images, shares, look.nudge, turn)
        return found


def learnt_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter that is learnt, by name; not of what layers gather."""
    gathered = {
        f"{name}.{part}"
        for name, layer, shape in zip(network.names[1:], network.layers, network.shapes, strict=False)
        if (state := layer.state_shape(shape)) is not None
        for part in layer.state(np.broadcast_to(np.float32(0), state), shape)
    }
    return {name: shape for name, shape in network.parameter_shapes.items() if name not in gathered}


def _worked(
    network: Network,
    at: Standing,
    update: Update,
    place: Place,
    sums: HostArray | None,
    products: Products | None,
) -> Worked:
    """The numbers of the step for one value."""
    name, index = place
    before, after = (float(values[name][index]) for values in (update.before, update.after))
    gradient, moved = (float(values[name][index]) for values in (update.gradients, update.moved))
    frozen = name.partition(".")[0] in at.recipe.frozen
    if frozen:
        return Worked(place, before, after, gradient, True, None, None, (), None)
    remembered, remembers = (
        {kind: float(memory[f"{kind}.{name}"][index]) for kind in at.recipe.optimizer.vectors}
        for memory in (update.remembered, update.remembers)
    )
    count, shrinks = int(update.remembers["count"][0]), update.before[name].ndim > 1
    lines = [] if sums is None else [_mean(sums, gradient)]
    lines += _regularized(at.recipe, update, before, gradient, moved, shrinks)
    lines += at.recipe.optimizer.worked(
        Moved(before, after, moved, update.rate, shrinks, remembered, remembers, count)
    )
    return Worked(place, before, after, gradient, False, sums, products, tuple(lines), None)


def _mean(sums: HostArray, gradient: float) -> Line:
    return Line("gradient", "sum ÷ examples", "{0} ÷ {1}", (float(sums.sum()), float(len(sums))), gradient)


def _regularized(
    recipe: Recipe, update: Update, before: float, gradient: float, moved: float, shrinks: bool
) -> list[Line]:
    """What l2 and clipping make of the gradient, as far as they do anything to this value."""
    lines = []
    penalised = gradient + recipe.l2 * before if shrinks else gradient
    if recipe.l2 and shrinks:
        numbers = (gradient, recipe.l2, before)
        lines.append(Line("with L2", "gradient + L2 × value", "{0} + {1} × {2}", numbers, penalised))
    if recipe.clip is not None and (length := _length(recipe, update)) > recipe.clip:
        numbers = (penalised, recipe.clip, length)
        lines.append(Line("clipped", "gradient × longest ÷ length", "{0} × {1} ÷ {2}", numbers, moved))
    return lines


def _length(recipe: Recipe, update: Update) -> float:
    """Of the whole gradient before it is clipped, l2 included."""
    squares = 0.0
    for name, values in update.gradients.items():
        whole = values.astype(np.float64)
        if values.ndim > 1 and name.partition(".")[0] not in recipe.frozen:
            whole = whole + recipe.l2 * update.before[name]
        squares += float((whole * whole).sum())
    return math.sqrt(squares)


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


__all__ = [
    "Dissection",
    "Dissector",
    "ExamplePass",
    "Inspection",
    "Nudged",
    "Place",
    "Standing",
    "Update",
    "Wanted",
    "Watch",
    "Worked",
    "learnt_shapes",
]

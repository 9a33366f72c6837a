"""Making: the coming step, made apart from the run on the same numbers, and so to the same bytes. The run stays."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from engine.backends.backend import Backend
from engine.checkpoint import Checkpoint
from engine.dissection.dissection import HostArray, Update
from engine.dissection.passes import SLICE
from engine.layers import Values
from engine.network import Network
from engine.order import Coming
from engine.recipe import Recipe
from engine.stepper import Stepper


class Making:
    """Makes steps of one recipe, each from the state it is told."""

    def __init__(self, network: Network, backend: Backend, recipe: Recipe) -> None:
        self._network, self._backend, self.recipe = network, backend, recipe
        self._steppers: dict[Recipe, Stepper] = {}

    def make(
        self, start: Checkpoint, coming: Coming, images: HostArray, shares: HostArray
    ) -> Generator[None, None, Update]:
        """One step from `start` with these examples, in pieces. images: (N, C, H, W); shares: (N, classes).

        Raises DeviceFault; ShapeError or ValueError for a memory of another optimizer.
        """
        # What l2 and clipping make of the gradient is seen by making the step without them beside it.
        bare = replace(self.recipe, l2=0.0, clip=None)
        plain = yield from self._made(bare, start, coming, images, shares)
        gradients = plain.gradients()
        yield
        made = plain
        if bare != self.recipe:
            made = yield from self._made(self.recipe, start, coming, images, shares)
        yield
        remembered = start.memory or {name: np.zeros_like(values) for name, values in made.memory().items()}
        return Update(
            start.parameters,
            gradients,
            made.gradients(),
            _sealed(made.parameters()),
            remembered,
            made.memory(),
            float(coming.rate),
            made.fine,
        )

    def _made(
        self, recipe: Recipe, start: Checkpoint, coming: Coming, images: HostArray, shares: HostArray
    ) -> Generator[None, None, Stepper]:
        """A stepper that has made the step."""
        stepper = self._steppers.get(recipe)
        if stepper is None:
            stepper = Stepper(self._network, self._backend, recipe, start.parameters)
            self._steppers[recipe] = stepper
        stepper.restore(start.parameters, start.memory)
        size = len(images)
        stepper.feed(images, shares, np.arange(size)[None], np.array([coming.rate], np.float32))
        # The coins of dropout follow from how many steps lie behind.
        stepper.seek(0, start.steps)
        yield from stepper.slices(size, SLICE)
        return stepper


def _sealed(values: Values) -> Values:
    for array in values.values():
        array.flags.writeable = False
    return values

"""Passes: a batch's examples on their way through the network and back, some at a time, every layer's values and
gradients kept. They change no parameter."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from time import perf_counter

import numpy as np

from engine.backends.backend import Backend, choose_backend
from engine.backends.ops import Array, replay
from engine.explain.step_trace import ExamplePass, HostArray, Nudged, Place, Update
from engine.nn.layers import Layer, Products, Stage, Values
from engine.nn.losses import softmax
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan
from engine.nudging import Nudge, Probe
from engine.nudging.central_differences import Kink, Kinks
from engine.training.checkpoint import Checkpoint
from engine.training.recipe import Recipe
from engine.training.train_step import Stepper
from engine.training.trainer import Coming

# What the examples that are passed together may keep busy: so much is made between two looks at what is asked for.
TOGETHER_BYTES = 8_000_000
# Seconds of work between two looks at what is asked for.
SLICE = 0.005


class Passes:
    """Passes of batches of `batch` by one recipe. The network learns: dropout tosses the step's own coins, and
    batch norm goes by the batch, which then is passed at once."""

    def __init__(self, network: Network, backend: Backend, recipe: Recipe, batch: int) -> None:
        """Raises ValueError for what does not fit into memory."""
        self.network, self.batch, self.recipe = network, batch, recipe
        self.chunk = batch
        if not any(layer.mixes_batch for layer in network.layers):
            self.chunk = even_share(batch, TOGETHER_BYTES // network.picture_bytes)
        self._ops = backend.operations
        self._plan = Plan(
            network,
            backend,
            self.chunk,
            keep=True,
            learn=True,
            input_gradient=True,
            frozen=recipe.frozen,
            seed=recipe.seed,
            total=1,
        )

    def load(self, parameters: Parameters) -> None:
        """By these parameters from now on."""
        self._plan.load(parameters)

    def chunks(self, first: int) -> list[int]:
        """Where the chunks start, the one with example `first` before the others."""
        starts = list(range(0, self.batch, self.chunk))
        return sorted(starts, key=lambda start: (not start <= first < start + self.chunk, start))

    def through(self, images: HostArray, shares: HostArray, start: int, steps: int) -> Iterator[None]:
        """Pass the chunk that starts at `start` of these examples (N, C, H, W) whose votes should be `shares`
        (N, classes), in pieces; `steps` were made before."""
        plan, ops = self._plan, self._ops
        part = slice(start, start + self.chunk)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            plan.show(images[part])
            ops.upload(np.array([steps % 2**32, start], np.uint32), plan.moment)
            ops.upload(shares[part].T, plan.targets)
        begun = perf_counter()
        for calls in (*plan.forward_calls, plan.loss_calls, *plan.backward_calls):
            for call in calls:
                # Never across a yield: what NumPy is told here would hold for whoever is yielded to.
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    replay((call,))
                if perf_counter() - begun > SLICE:
                    yield
                    begun = perf_counter()

    def errors(self) -> HostArray:
        """Of the chunk that was passed last, (n,)."""
        return self._plan.loss

    def seen(self, example: int, start: int, shares: HostArray, maps: int) -> ExamplePass:
        """One example of the chunk that was passed last; `maps` of each layer at most."""
        plan, column = self._plan, example - start
        first = plan.stages[0]
        outputs = [self._copy(array, column, maps) for array in (first.x.values, *(s.y for s in plan.stages))]
        gradients = [self._copy(array, column, maps) for array in (first.dx, *(s.dy for s in plan.stages))]
        scores = np.ascontiguousarray(self._ops.to_host(plan.scores)[:, column])
        with np.errstate(over="ignore", invalid="ignore"):
            votes = softmax(scores)
        error = float(plan.loss[column])
        return ExamplePass(example, tuple(outputs), tuple(gradients), scores, votes, shares[example], error)

    def products(self, place: Place) -> Products | None:
        """Of the chunk that was passed last: what the gradient of a parameter's value is the sum of."""
        name, index = place
        owner, _, part = name.partition(".")
        at = self.network.names.index(owner) - 1
        layer, stage, part = _inside(self.network.layers[at], self._plan.stages[at], part)
        if stage.dy is None:
            return None
        x, dy = (np.moveaxis(self._ops.to_host(array), -1, 0) for array in (stage.x.values, stage.dy))
        return layer.products(part, index, x, dy)

    def _copy(self, array: Array, column: int, maps: int) -> HostArray:
        copied: HostArray = np.ascontiguousarray(self._ops.to_host(array[:maps, ..., column]))
        copied.flags.writeable = False
        return copied


def even_share(batch: int, most: int) -> int:
    """How many examples are passed together: at most `most`, at least 1, and so that no rest is left."""
    return next(count for count in range(max(1, min(batch, most)), 0, -1) if batch % count == 0)


def _inside(layer: Layer, stage: Stage, part: str) -> tuple[Layer, Stage, str]:
    """The layer that a parameter belongs to, if need be within stacks: 1-conv2d.weight is weight of the first."""
    stack = layer.stack(stage)
    if not stack:
        return layer, stage, part
    inner, _, part = part.partition(".")
    _, below, its = stack[int(inner.partition("-")[0]) - 1]
    return _inside(below, its, part)


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


# How far to each side the slope is tried, and what examples tried together may keep busy.
STEP = 1e-5


class Trying:
    """Tries values of one network on batches, some examples at a time, in float64."""

    def __init__(self, network: Network, batch: int) -> None:
        """Raises ValueError for what does not fit into memory."""
        self._network, self.batch = network, batch
        # Two changes at once, two bytes for one of float32, and the network as it is beside them.
        self._chunk = even_share(batch, TOGETHER_BYTES // (6 * network.picture_bytes))
        self._probe = Probe(network, self._chunk, 2)
        self._back = Plan(
            network, choose_backend("cpu"), self._chunk, dtype=np.float64, keep=True, learn=True, training=False,
            total=1,
        )  # fmt: skip
        self._positions = self._probe.base.parts(np.arange(len(self._probe.values)))

    def nudged(
        self,
        place: Place,
        parameters: Parameters,
        images: HostArray,
        shares: HostArray,
        size: float,
        turn: tuple[int, int, tuple[int, ...]],
    ) -> Generator[None, None, Nudged]:
        """What becomes of one value, in pieces. images: (N, C, H, W); shares: (N, classes). turn: the number of the
        step, of the epoch, both from 1, and the examples' places."""
        name, index = place
        position = int(self._positions[name][index])
        layer = self._network.names.index(name.partition(".")[0]) - 1
        self._probe.base.load(parameters)
        self._back.load(parameters)
        value = float(self._probe.values[position])
        moves = (0.0, size, -size, STEP, -STEP)
        errors = np.zeros((len(moves), len(images)))
        slope, kink = 0.0, None
        for start in range(0, len(images), self._chunk):
            part = slice(start, start + self._chunk)
            errors[0, part] = self._probe.show(images[part], shares[part])
            yield
            for first in (1, 3):
                changes = [(position, value + move) for move in moves[first : first + 2]]
                errors[first : first + 2, part] = self._probe.errors(layer, changes)
                yield
            kink = kink or self._kink(layer, start)
            slope += self._slope(name, index, images[part], shares[part])
            yield
        mean, up, down, above, below = (float(row.mean()) for row in errors)
        number, epoch, examples = turn
        nudge = Nudge(number, epoch, examples, name, index, value, size, mean, up, down)
        at_rest = any(each.draws or each.mixes_batch for each in self._network.layers)
        central = (above - below) / (2 * STEP)
        return Nudged(nudge, slope / len(images), central, STEP, kink, at_rest)

    def _kink(self, layer: int, start: int) -> str | None:
        """The first kink between the two closest changes, which were the last to be tried."""
        found: Kink | None = Kinks(self._probe).found(layer, 1).get(0)
        if found is None:
            return None
        return replace(found, example=start + (found.example or 0)).sentence

    def _slope(self, name: str, index: tuple[int, ...], images: HostArray, shares: HostArray) -> float:
        """The gradient of the summed errors of these examples."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._back.forward(images)
            self._back.backward(shares)
        return float(self._back.parameter_gradients()[name][index])

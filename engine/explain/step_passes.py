"""The passes of a step trace: a batch's forward and backward pass with every layer's values and gradients kept, the
parameter update, and the nudge of one value."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from time import perf_counter

import numpy as np

from engine.backends import Array, Backend, HostArray, choose_backend, replay
from engine.explain.step_trace import ExamplePass, NudgeResult, ParameterIndex, ParameterUpdate
from engine.nn import Network, Parameters, Plan, softmax
from engine.nn.layers import Arrays, GradientTerms, Layer, LayerArrays
from engine.nudging import Kink, KinkFinder, LossProbe, Nudge
from engine.training import Checkpoint, NextBatch, TrainingConfig, TrainStep

# Bytes of the examples passed together: little enough that a new request is noticed soon.
CHUNK_BYTES = 8_000_000
# Seconds of a slice, after which a new request is noticed.
SLICE_SECONDS = 0.005


class TracedPasses:
    """Forward and backward passes of batches of size `batch` in training mode: dropout draws the step's own random
    numbers, and a network with batch norm gets the whole batch at once."""

    def __init__(self, network: Network, backend: Backend, config: TrainingConfig, batch: int) -> None:
        """Raises ValueError for what does not fit into memory."""
        self.network, self.batch, self.config = network, batch, config
        self.chunk = batch
        if not any(layer.traits.uses_batch_statistics for layer in network.layers):
            self.chunk = even_chunk(batch, CHUNK_BYTES // network.image_bytes)
        self._ops = backend.operations
        self._plan = Plan(
            network,
            backend,
            self.chunk,
            keep_outputs=True,
            learn=True,
            input_gradient=True,
            frozen=config.frozen,
            seed=config.seed,
            total_examples=1,
        )

    def load(self, parameters: Parameters) -> None:
        self._plan.load(parameters)

    def chunks(self, first: int) -> list[int]:
        """The starts of the chunks, the one with example `first` before the others."""
        starts = list(range(0, self.batch, self.chunk))
        return sorted(starts, key=lambda start: (not start <= first < start + self.chunk, start))

    def run_chunk(self, images: HostArray, targets: HostArray, start: int, steps: int) -> Iterator[None]:
        """Pass one chunk in slices.

        images, targets: (N, C, H, W) and (N, classes), of the whole batch.
        start: of the chunk.
        steps: training steps made before.
        """
        plan, ops = self._plan, self._ops
        part = slice(start, start + self.chunk)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            plan.set_input(images[part])
            ops.upload(np.array([steps % 2**32, start], np.uint32), plan.rng_counter)
            ops.upload(targets[part].T, plan.targets)
        started = perf_counter()
        for calls in (*plan.forward_calls, plan.loss_calls, *plan.backward_calls):
            for call in calls:
                # Never across a yield: the error state would also apply to the caller.
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    replay((call,))
                if perf_counter() - started > SLICE_SECONDS:
                    yield
                    started = perf_counter()

    def errors(self) -> HostArray:
        """The examples' errors in the chunk passed last, (n,)."""
        return self._plan.host_losses

    def example_pass(self, example: int, start: int, targets: HostArray, maps: int) -> ExamplePass:
        """One example of the chunk passed last; at most `maps` of each layer."""
        plan, column = self._plan, example - start
        first = plan.layer_arrays[0]
        outputs = [self._copy(array, column, maps) for array in (first.x.values, *(s.y for s in plan.layer_arrays))]
        gradients = [self._copy(array, column, maps) for array in (first.dx, *(s.dy for s in plan.layer_arrays))]
        scores = np.ascontiguousarray(self._ops.to_host(plan.scores)[:, column])
        with np.errstate(over="ignore", invalid="ignore"):
            votes = softmax(scores)
        error = float(plan.host_losses[column])
        return ExamplePass(example, tuple(outputs), tuple(gradients), scores, votes, targets[example], error)

    def gradient_terms(self, parameter: ParameterIndex) -> GradientTerms | None:
        """The terms whose sum is the gradient of a parameter value, for the chunk passed last; None if the gradient
        is no such sum."""
        name, index = parameter
        owner, _, part = name.partition(".")
        at = self.network.names.index(owner) - 1
        layer, buffers, part = _inner_layer(self.network.layers[at], self._plan.layer_arrays[at], part)
        if buffers.dy is None:
            return None
        x, dy = (np.moveaxis(self._ops.to_host(array), -1, 0) for array in (buffers.x.values, buffers.dy))
        return layer.gradient_terms(part, index, x, dy)

    def _copy(self, array: Array, column: int, maps: int) -> HostArray:
        copied: HostArray = np.ascontiguousarray(self._ops.to_host(array[:maps, ..., column]))
        copied.flags.writeable = False
        return copied


def even_chunk(batch: int, most: int) -> int:
    """The largest divisor of `batch` that is at most `most`, at least 1."""
    return next(count for count in range(max(1, min(batch, most)), 0, -1) if batch % count == 0)


def _inner_layer(layer: Layer, buffers: LayerArrays, part: str) -> tuple[Layer, LayerArrays, str]:
    """The layer that a parameter belongs to, inside blocks too: conv2d-1.weight is the weight of the
    child with that id."""
    children = layer.children(buffers)
    if not children:
        return layer, buffers, part
    inner, _, part = part.partition(".")
    child = next(child for child in children if child.id == inner)
    return _inner_layer(child.layer, child.arrays, part)


class StepReplay:
    """Makes training steps of one configuration, each from a given checkpoint."""

    def __init__(self, network: Network, backend: Backend, config: TrainingConfig) -> None:
        self._network, self._backend, self.config = network, backend, config
        self._steps: dict[TrainingConfig, TrainStep] = {}

    def replay(
        self, start: Checkpoint, batch: NextBatch, images: HostArray, targets: HostArray
    ) -> Generator[None, None, ParameterUpdate]:
        """One step from `start` with these examples, in slices. images: (N, C, H, W); targets: (N, classes).

        Raises DeviceFault; ShapeError or ValueError for the state of another optimizer.
        """
        # A second step without L2 and clipping gives the gradients before them.
        bare = replace(self.config, l2=0.0, clip=None)
        without = yield from self._step(bare, start, batch, images, targets)
        gradients = without.gradients()
        yield
        step = without
        if bare != self.config:
            step = yield from self._step(self.config, start, batch, images, targets)
        yield
        state_before = start.optimizer_state or {
            name: np.zeros_like(values) for name, values in step.optimizer_state().items()
        }
        return ParameterUpdate(
            start.parameters,
            gradients,
            step.gradients(),
            _read_only(step.parameters()),
            state_before,
            step.optimizer_state(),
            float(batch.rate),
            step.is_finite,
        )

    def _step(
        self, config: TrainingConfig, start: Checkpoint, batch: NextBatch, images: HostArray, targets: HostArray
    ) -> Generator[None, None, TrainStep]:
        """Returns the TrainStep after it has made the step."""
        step = self._steps.get(config)
        if step is None:
            step = TrainStep(self._network, self._backend, config, start.parameters)
            self._steps[config] = step
        step.restore(start.parameters, start.optimizer_state)
        size = len(images)
        step.load_epoch(images, targets, np.arange(size)[None], np.array([batch.rate], np.float32))
        # The number of steps made determines the random numbers of dropout.
        step.set_position(0, start.steps)
        yield from step.iter_slices(size, SLICE_SECONDS)
        return step


def _read_only(arrays: Arrays) -> Arrays:
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


# Half width of the central difference.
DIFFERENCE_STEP = 1e-5


class NudgeCheck:
    """Nudges parameter values of one network on batches, some examples at a time, in float64."""

    def __init__(self, network: Network, batch: int) -> None:
        """Raises ValueError for what does not fit into memory."""
        self._network, self.batch = network, batch
        # Two changed values and the unchanged network at once, in float64, twice the bytes of float32.
        self._chunk = even_chunk(batch, CHUNK_BYTES // (6 * network.image_bytes))
        self._probe = LossProbe(network, self._chunk, 2)
        self._plan = Plan(
            network, choose_backend("cpu"), self._chunk, dtype=np.float64, keep_outputs=True, learn=True,
            training=False, total_examples=1,
        )  # fmt: skip
        self._positions = self._probe.base.split_vector(np.arange(len(self._probe.parameter_vector)))

    def check(
        self,
        parameter: ParameterIndex,
        parameters: Parameters,
        images: HostArray,
        targets: HostArray,
        size: float,
        origin: tuple[int, int, tuple[int, ...]],
    ) -> Generator[None, None, NudgeResult]:
        """Nudge one value by `size` and compare with its gradient, in slices.

        images, targets: (N, C, H, W) and (N, classes).
        origin: number of the step and of the epoch, both from 1, and the examples' indices.
        """
        name, index = parameter
        position = int(self._positions[name][index])
        layer = self._network.names.index(name.partition(".")[0]) - 1
        self._probe.base.load(parameters)
        self._plan.load(parameters)
        value = float(self._probe.parameter_vector[position])
        moves = (0.0, size, -size, DIFFERENCE_STEP, -DIFFERENCE_STEP)
        errors = np.zeros((len(moves), len(images)))
        gradient, kink = 0.0, None
        for start in range(0, len(images), self._chunk):
            part = slice(start, start + self._chunk)
            errors[0, part] = self._probe.set_batch(images[part], targets[part])
            yield
            for first in (1, 3):
                changes = [(position, value + move) for move in moves[first : first + 2]]
                errors[first : first + 2, part] = self._probe.perturbed_losses(layer, changes)
                yield
            kink = kink or self._kink(layer, start)
            gradient += self._gradient(name, index, images[part], targets[part])
            yield
        mean, up, down, above, below = (float(row.mean()) for row in errors)
        number, epoch, examples = origin
        nudge = Nudge(number, epoch, examples, name, index, value, size, mean, up, down)
        differs = any(
            each.traits.is_stochastic or each.traits.uses_batch_statistics for each in self._network.layers
        )
        central = (above - below) / (2 * DIFFERENCE_STEP)
        return NudgeResult(nudge, gradient / len(images), central, DIFFERENCE_STEP, kink, differs)

    def _kink(self, layer: int, start: int) -> str | None:
        """The first kink between the two values of the central difference, which the probe evaluated last."""
        found: Kink | None = KinkFinder(self._probe).find(layer, 1).get(0)
        if found is None:
            return None
        return replace(found, example=start + (found.example or 0)).message

    def _gradient(self, name: str, index: tuple[int, ...], images: HostArray, targets: HostArray) -> float:
        """The gradient of the summed errors of these examples."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._plan.forward(images)
            self._plan.backward(targets)
        return float(self._plan.parameter_gradients()[name][index])

"""Attribution: gradients of any value of a network, contributions (gradient x value) and Grad-CAM."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np

from engine.backends import Calls, HostArray, numpy_backend
from engine.nn import Network, Parameters, Plan
from engine.nn.layers import CellIndex

T = TypeVar("T")
# Passes of a large network pause after about this many seconds, because they share the engine thread.
SLICE_SECONDS = 0.01


def run_to_end(work: Generator[None, None, T]) -> T:
    """Run a generator to its end and return its return value."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


class Gradients:
    """Backward passes in float64 from any values of any layer down to the input, `batch` values at a time.

    The network is in evaluation mode: dropout is the identity and batch norm uses its running statistics. At a kink
    the gradient is the one that training uses: 0 at a ReLU's 0, and of equal values in a pooling window the first.
    Computed on the CPU.
    """

    def __init__(self, network: Network, batch: int = 1) -> None:
        """Raises ValueError for a network too large for a float64 plan."""
        self.network, self.batch = network, batch
        self._backend = numpy_backend("explanations need float64")
        self._plan = Plan(
            network,
            self._backend,
            batch,
            dtype=np.float64,
            keep_outputs=True,
            learn=True,
            input_gradient=True,
            training=False,
            frozen=network.names[1:],
        )
        calls = iter(self._plan.backward_calls)
        self._calls = [[] if layer.traits.reshapes else next(calls) for layer in reversed(network.layers)][::-1]

    def load(self, parameters: Parameters) -> None:
        """Use these parameters. Raises ShapeError or ValueError if they do not fit the network."""
        self._plan.load(parameters)

    def forward(self, picture: HostArray) -> None:
        """Forward pass of one picture (C, H, W). Raises ShapeError for another shape."""
        with np.errstate(over="ignore", invalid="ignore"):
            self._plan.forward(self._repeated(picture))

    def forward_in_slices(self, picture: HostArray) -> Iterator[None]:
        """As `forward`, yielding between slices."""
        self._plan.set_input(self._repeated(picture))
        yield from self._in_slices([call for calls in self._plan.forward_calls for call in calls])

    def output(self, layer: int) -> HostArray:
        """The output of one layer, 0 for the input, in the last forward pass: float64, a copy."""
        values = self._plan.layer_arrays[layer - 1].y if layer else self._plan.input
        return np.array(values[..., 0])

    def first_input_gradient(
        self, picture: HostArray, targets: list[tuple[int, CellIndex]]
    ) -> Generator[None, None, tuple[int | None, HostArray]]:
        """Forward pass of one picture (C, H, W) up to the highest layer of `targets`, yielding between slices.

        targets: values, each as (layer, cell).
        Returns the index in `targets` of the first value whose gradient in the picture is not 0 everywhere, None if
        all are, and that gradient, (C, H, W) float64. `outputs` of layers above stay those of an earlier picture.
        """
        plan = self._plan
        plan.set_input(self._repeated(picture))
        top = max(layer for layer, _ in targets)
        yield from self._in_slices([call for calls in plan.forward_calls[:top] for call in calls])
        for index, (layer, cell) in enumerate(targets):
            gradient = (yield from self.backward_in_slices(layer, [cell]))[0][0]
            if gradient.any():
                return index, gradient
        return None, np.zeros(picture.shape)

    def value(self, layer: int, cell: CellIndex) -> float:
        """The value at `cell` of the output of `layer` in the last forward pass."""
        return float(self._plan.layer_arrays[layer - 1].y[(*cell, 0)])

    def outputs(self) -> list[HostArray]:
        """The input and every layer's output in the last forward pass, float64, (C, H, W) or (n,)."""
        return [output[0] for output in self._plan.outputs()]

    def backward(self, layer: int, cells: list[CellIndex]) -> list[HostArray]:
        """The gradients of the values at `cells` of the output of `layer`, at most `batch` of them, in every output
        from the input (first) up to `layer` (last): float64, (cells, *shape), copies."""
        return [each[: len(cells)] for each in self.vjp(layer, self._one_hot(layer, cells))]

    def backward_in_slices(
        self, layer: int, cells: list[CellIndex], lowest: int = 0
    ) -> Generator[None, None, list[HostArray]]:
        """As `backward`, but only down to the output of `lowest` (first), yielding between slices."""
        gradients = yield from self._vjp(layer, self._one_hot(layer, cells), lowest)
        return [each[: len(cells)] for each in gradients]

    def vjp(self, layer: int, cotangents: HostArray) -> list[HostArray]:
        """Vector-Jacobian products: as `backward`, for weighted sums of the values, `cotangents` (*shape, batch)
        being the weights."""
        return run_to_end(self._vjp(layer, cotangents, 0))

    def _vjp(self, layer: int, cotangents: HostArray, lowest: int) -> Generator[None, None, list[HostArray]]:
        """The backward pass down to the output of `lowest`, in slices."""
        gradients, passed = [self._set_output_gradient(layer, cotangents)], range(layer - 1, lowest - 1, -1)
        yield from self._in_slices([call for at in passed for call in self._calls[at]])
        for at in passed:
            below = self._plan.layer_arrays[at].dx
            assert below is not None
            gradients.append(below)
        return [np.ascontiguousarray(np.moveaxis(each, -1, 0)) for each in reversed(gradients)]

    def _repeated(self, picture: HostArray) -> HostArray:
        """The picture as a batch, a view (batch, C, H, W)."""
        return np.broadcast_to(picture, (self.batch, *picture.shape))

    def _one_hot(self, layer: int, cells: list[CellIndex]) -> HostArray:
        """(*shape, batch): 1 at each cell, in a column of its own."""
        cotangents: HostArray = np.zeros((*self.network.shapes[layer], self.batch))
        for column, cell in enumerate(cells):
            cotangents[(*cell, column)] = 1.0
        return cotangents

    def _set_output_gradient(self, layer: int, cotangents: HostArray) -> HostArray:
        if layer:
            top = self._plan.layer_arrays[layer - 1].dy
            assert top is not None
            top[...] = cotangents
        return cotangents

    def _in_slices(self, calls: Calls) -> Iterator[None]:
        go_on, done = self._backend.operations.in_slices([calls]), False
        while not done:
            with np.errstate(over="ignore", invalid="ignore"):
                done = go_on(perf_counter() + SLICE_SECONDS)
            if not done:
                yield


@dataclass(frozen=True, eq=False)
class Contributions:
    """Contributions (gradient x value) of every value to some target values, all float64.

    values: (targets,), the target values.
    layers: from the lowest layer, the input by default, up to the targets' own, each (targets, *shape).
    remainder: (layers, targets), what biases, nonlinearities and padding above that layer add.
    For every l, values = sum of layers[l] + remainder[l].
    """

    values: HostArray
    layers: tuple[HostArray, ...]
    remainder: HostArray


def contributions(gradients: Gradients, layer: int, cells: list[CellIndex]) -> Contributions:
    """Contributions of every value to those at `cells` of the output of `layer`, in the last forward pass."""
    return run_to_end(contributions_in_slices(gradients, layer, cells))


def contributions_in_slices(
    gradients: Gradients, layer: int, cells: list[CellIndex], lowest: int = 0
) -> Generator[None, None, Contributions]:
    """As `contributions`, only down to the output of `lowest`, yielding between slices."""
    slopes = yield from gradients.backward_in_slices(layer, cells, lowest)
    layers = [gradients.output(at) * slope for at, slope in enumerate(slopes, lowest)]
    output = gradients.output(layer)
    values = np.array([output[cell] for cell in cells])
    sums = np.array([each.reshape(len(cells), -1).sum(axis=1) for each in layers])
    return Contributions(values, tuple(layers), values - sums)


def score_contributions(gradients: Gradients) -> Contributions:
    """Contributions of every value to each class's score, in the last forward pass."""
    return contributions(gradients, len(gradients.network.layers), score_cells(gradients))


def score_cells(gradients: Gradients) -> list[CellIndex]:
    """The cell of each class's score in the last output."""
    return [(at,) for at in range(len(gradients.network.classes))]


def grad_cam(gradients: Gradients, target: int) -> HostArray:
    """Grad-CAM, (H, W) float64, at least 0: evidence of the last feature maps for a class, at input size.

    Uses the maps of the last convolution, after the elementwise layers that follow it, such as a ReLU. Each map is
    weighted by its mean gradient, and the sum is clipped at 0 (Selvaraju et al. 2017). Raises ValueError for a
    network without feature maps.
    """
    network, layer = gradients.network, grad_cam_layer(gradients)
    slopes = gradients.backward(len(network.layers), [(target,)])[layer][0]
    maps = gradients.outputs()[layer]
    weighted = np.einsum("c,chw->hw", slopes.mean(axis=(1, 2)), maps)
    return upsample(np.maximum(weighted, 0.0), network.input_shape[1:])


def grad_cam_layer(gradients: Gradients) -> int:
    """The layer whose maps Grad-CAM uses, counted from 1. Raises ValueError if there is none."""
    network = gradients.network
    candidates = [
        at
        for at, layer in enumerate(network.layers, 1)
        if len(network.shapes[at]) == 3 and layer.traits.connects_channels
    ]
    if not candidates:
        raise ValueError("Grad-CAM needs feature maps, and this network has none.")
    last = candidates[-1]
    while (
        last < len(network.layers)
        and network.layers[last].traits.is_elementwise
        and len(network.shapes[last + 1]) == 3
    ):
        last += 1
    return last


def upsample(values: HostArray, size: tuple[int, int]) -> HostArray:
    """Bilinear upsampling of `values` (h, w) to `size`, with half-pixel centres."""
    rows, columns = (_interpolation(count, length) for count, length in zip(values.shape, size, strict=True))
    upsampled: HostArray = rows @ values @ columns.T
    return upsampled


def _interpolation(count: int, length: int) -> HostArray:
    """(length, count): weights of linear interpolation from `count` values to `length`."""
    at = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
    weights: HostArray = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(count)))
    return weights

"""Central differences: the gradient of the loss in every parameter, by two evaluations each; and by
backpropagation, to compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.backends import HostArray, choose_backend
from engine.nn import Network, Parameters, Plan
from engine.nn.layers import Arrays, Layer, LayerArrays
from engine.nudging.probe import LossProbe

# The largest rounding error of a value, in units in the last place of the largest one of its layer; a smaller
# change counts as none.
ROUNDING = 256


@dataclass(frozen=True)
class Kink:
    """A point where a gradient jumps.

    layer: its title
    description: what happens there, as a predicate
    cell: the index in its output
    example: the index of the example, None if there is only one
    """

    layer: str
    description: str
    cell: tuple[int, ...]
    example: int | None = None

    @property
    def message(self) -> str:
        where = "" if self.example is None else f" of example {self.example}"
        return (
            "The central difference and backpropagation may differ here: "
            f"{self.layer} {self.description} in cell {self.cell}{where}."
        )


@dataclass(frozen=True, eq=False)
class _KinkedLayer:
    """A layer with kinks: its nesting depth (0 in the network, more inside a block), its present input, and where
    the probe stores its input under changes."""

    place: int
    depth: int
    title: str
    layer: Layer
    base: HostArray
    perturbed: HostArray


class KinkFinder:
    """Finds the kinks that the changes of a LossProbe cross; built after its `set_batch`, for that batch."""

    def __init__(self, probe: LossProbe) -> None:
        self._probe = probe
        network = probe.network
        self._kinked_layers = [
            kinked_layer
            for place, layer in enumerate(network.layers)
            for kinked_layer in _kinked_layers(
                place,
                0,
                network.layer_title(place + 1),
                layer,
                probe.base.layer_arrays[place],
                probe.perturbed.layer_arrays[place],
            )
        ]

    def find(self, place: int, count: int) -> dict[int, Kink]:
        """The first kink or tie, in the order of the layers, of each pair of changes that crosses one, by the index
        of the pair.

        Called after `perturbed_losses` with `count` pairs of changes, up and down, in the layer at `place`. At a
        kink the three losses (down, unchanged, up) do not lie on one smooth curve, or only by chance.
        """
        kinks: dict[int, Kink] = {}
        for kinked_layer in self._kinked_layers:
            if kinked_layer.place > place or (kinked_layer.place == place and kinked_layer.depth > 0):
                self._search(kinked_layer, count, kinks)
        return kinks

    def _search(self, kinked_layer: _KinkedLayer, count: int, kinks: dict[int, Kink]) -> None:
        examples = self._probe.examples
        shape = kinked_layer.base.shape[:-1]
        sides = kinked_layer.perturbed.reshape(*shape, -1, 2, examples)[..., :count, :, :]
        base = np.broadcast_to(kinked_layer.base[..., None, :], (*shape, count, examples))
        points = np.stack([base, sides[..., 0, :], sides[..., 1, :]]).reshape(3, *shape, count * examples)
        near = ROUNDING * np.finfo(points.dtype).eps * np.abs(points).max(initial=0)
        for gaps in kinked_layer.layer.distances_to_kink(points):
            low, high = gaps.min(0), gaps.max(0)
            crossed = (low < 0) & (high > 0) & (high - low > near)
            crossed = crossed.reshape(*crossed.shape[:-1], count, examples)
            for number in np.flatnonzero(crossed.any((*range(crossed.ndim - 2), -1))):
                if int(number) not in kinks:
                    *cell, example = (int(axis) for axis in np.argwhere(crossed[..., number, :])[0])
                    kinks[int(number)] = Kink(
                        kinked_layer.title,
                        kinked_layer.layer.text.kink,
                        tuple(cell),
                        example if examples > 1 else None,
                    )


def _kinked_layers(
    place: int, depth: int, title: str, layer: Layer, base: LayerArrays, tried: LayerArrays
) -> Iterator[_KinkedLayer]:
    """The layers with kinks: this one, or those inside it."""
    x = base.x.values.copy()
    if next(layer.distances_to_kink(x[None]), None) is not None:
        yield _KinkedLayer(place, depth, title, layer, x, tried.x.values)
    for (_, inner_title, inner, below), above in zip(layer.children(base), layer.children(tried), strict=True):
        yield from _kinked_layers(place, depth + 1, f"{title}, {inner_title}", inner, below, above.arrays)


# The memory of one batch of changes: about one core's share of the caches.
BATCH_BYTES = 4_000_000
MAX_PAIRS = 4096


@dataclass(frozen=True, eq=False)
class CentralDifferences:
    """Central differences by parameter name.

    slopes: (E(w + step) - E(w - step)) / (2 step), E being the mean loss of the examples
    kinked: bool, where the network is not smooth between w - step and w + step, so that backpropagation, which
        takes one side of a kink and one maximum of a tie, may differ
    kinks: the first kink crossed, by name and index
    """

    slopes: Arrays
    kinked: Arrays
    kinks: dict[tuple[str, tuple[int, ...]], Kink]

    def message(self, name: str, index: tuple[int, ...]) -> str | None:
        """Why the two gradients may differ for this parameter, None where they agree."""
        kink = self.kinks.get((name, index))
        return None if kink is None else kink.message


def central_difference_gradients(
    network: Network,
    parameters: Parameters,
    images: HostArray,
    shares: HostArray,
    step: float = 1e-5,
    dtype: Any = np.float64,
) -> CentralDifferences:
    """The central difference of the loss in every parameter, many parameters at once, each changed alone.

    images: (N, C, H, W)
    shares: (N, classes), the target votes
    The network is in inference mode as in LossProbe: dropout passes everything, batch norm uses its running
    statistics, whose own gradients are not computed. The error is about step^2 / 6 times the third derivative, plus
    rounding, about 1e-16 / step in float64. Raises ValueError unless the step is above 0, ShapeError for arrays
    that do not fit.
    """
    if not step > 0:
        raise ValueError(f"The step of a central difference must be above 0, not {step!r}.")
    probe = LossProbe(network, len(images), 2 * _pairs(network, len(images)), dtype)
    probe.base.load(parameters)
    probe.set_batch(images, shares)
    search = KinkFinder(probe)
    views = probe.base.split_vector(probe.parameter_vector)
    slopes, kinked = (
        {name: np.zeros(view.shape, kind) for name, view in views.items()}
        for kind in (probe.parameter_vector.dtype, np.bool_)
    )
    kinks: dict[tuple[str, tuple[int, ...]], Kink] = {}
    for name, where in probe.base.split_vector(np.arange(len(probe.parameter_vector))).items():
        place = network.names.index(name.split(".")[0]) - 1
        for first in range(0, where.size, probe.max_changes // 2):
            positions = where.ravel()[first : first + probe.max_changes // 2]
            slopes[name].ravel()[first : first + len(positions)] = _slopes(probe, place, positions, step)
            for number, kink in search.find(place, len(positions)).items():
                index = tuple(int(axis) for axis in np.unravel_index(first + number, where.shape))
                kinks[name, index] = kink
                kinked[name][index] = True
    return CentralDifferences(slopes, kinked, kinks)


def backprop_gradients(
    network: Network, parameters: Parameters, images: HostArray, shares: HostArray, dtype: Any = np.float64
) -> Arrays:
    """The gradient of the mean loss by parameter name, by backpropagation.

    In inference mode, as in central_differences. Raises ShapeError or ValueError for arrays that do not fit.
    """
    plan = Plan(
        network, choose_backend("cpu"), len(images), dtype=dtype, keep_outputs=True, learn=True, training=False
    )
    plan.load(parameters)
    plan.forward(images)
    plan.backward(shares)
    return plan.parameter_gradients()


def _slopes(probe: LossProbe, place: int, positions: HostArray, step: float) -> HostArray:
    """Central differences (n,) of the parameters at these positions."""
    sides = ((int(index), probe.parameter_vector[index] + side) for index in positions for side in (step, -step))
    errors = probe.perturbed_losses(place, list(sides)).mean(1).reshape(-1, 2)
    slopes: HostArray = (errors[:, 0] - errors[:, 1]) / (2 * step)
    return slopes


def _pairs(network: Network, examples: int) -> int:
    """The number of parameters changed at once, so that the widest layer's work stays in the cache."""
    pairs = zip(network.layers, network.shapes, strict=False)
    widest = 2 * examples * 2 * max(layer.workspace_bytes(shape) for layer, shape in pairs)
    largest = max(cost.parameters for cost in network.costs)
    return max(1, min(BATCH_BYTES // max(widest, 1), MAX_PAIRS, largest))

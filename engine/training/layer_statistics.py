"""Statistics of each layer: histograms of weights, values and gradients, norms, and dead features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.backends import Backend, HostArray
from engine.data import Dataset
from engine.nn import BatchPredictor, Network, Parameters, RunPoint
from engine.nn.layers import Arrays

BINS: Final = 32  # even, so that 0 lies between two bins of a two-sided scale
MAX_VALUES: Final = 250_000  # counted per layer: more would take long and show the same
MAX_EXAMPLES: Final = 64  # held-out examples that are used, at most
_MIN_EXAMPLES: Final = 8
_SLICE_MULTIPLIES: Final = 200_000_000  # multiplications of one slice: a few ms
_TOTAL_MULTIPLIES: Final = 10_000_000_000  # multiplications of all slices, unless the least sample takes more
_MAX_HISTORY: Final = 240  # entries kept in the history of a branch


@dataclass(frozen=True, eq=False)
class Histogram:
    """A histogram with summary statistics.

    counts: (BINS,) int64, in equal bins from low to high, the last with its upper edge.
    low, high: low is 0 without negative values, otherwise -high.
    total, zeros, nonfinite: number of all values, of exact zeros, of those in no bin.
    mean, std, minimum, maximum: of the finite values.
    """

    counts: HostArray
    low: float
    high: float
    total: int
    zeros: int
    nonfinite: int
    mean: float
    std: float
    minimum: float
    maximum: float


def histogram(values: HostArray) -> Histogram:
    """The histogram of all values of an array."""
    flat = values.reshape(-1)
    finite = flat if not flat.size or np.isfinite([flat.min(), flat.max()]).all() else flat[np.isfinite(flat)]
    minimum, maximum = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    high = max(-minimum, maximum) or 1.0
    low = -high if minimum < 0 else 0.0
    bins = finite.astype(np.float64)
    mean, std = (float(bins.mean()), float(bins.std())) if finite.size else (0.0, 0.0)
    # Scaled first and shifted then, so that 0 falls on its edge without rounding.
    bins *= BINS / (high - low)
    bins += 0 if low == 0 else BINS / 2
    counts = np.bincount(np.minimum(bins.astype(np.intp), BINS - 1), minlength=BINS)
    counts.flags.writeable = False
    zeros = int(finite.size - np.count_nonzero(finite))
    return Histogram(counts, low, high, flat.size, zeros, flat.size - finite.size, mean, std, minimum, maximum)


@dataclass(frozen=True, eq=False)
class ParameterChange:
    """The last step's gradients, L2 penalty and clipping included, and its change of every parameter, by name."""

    gradients: Arrays
    changes: Arrays


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """Statistics of a group of layers; None where unknown.

    layers: their numbers, from 1.
    weights: of all parameters, biases included; None without any.
    values: outputs of the group's last layer.
    gradients: of the weights, in the last step.
    weight_norm, gradient_norm: 2-norms.
    relative_change: 2-norm of the last step's change divided by weight_norm.
    """

    layers: tuple[int, ...]
    weights: Histogram | None = None
    values: Histogram | None = None
    gradients: Histogram | None = None
    weight_norm: float | None = None
    gradient_norm: float | None = None
    relative_change: float | None = None


@dataclass(frozen=True)
class DeadFeatures:
    """Features that are 0 on all examples.

    layer: the layer of the features. relu: the layer after which they are 0. channels: from 0.
    """

    layer: int
    relu: int
    channels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class StatisticsHistory:
    """The norms along a branch, at the steps they were computed: steps (m,) int64; gradient_norms and
    relative_changes (m, groups) float32, nan where a group has none."""

    steps: HostArray
    gradient_norms: HostArray
    relative_changes: HostArray


@dataclass(frozen=True, eq=False)
class NetworkStatistics:
    """The statistics of a network at one point of its training.

    examples: number of held-out examples used.
    dead: the dead features.
    rows: by group of layers, empty unless requested.
    history: of the branch.
    """

    network: Network
    point: RunPoint
    examples: int
    dead: tuple[DeadFeatures, ...]
    rows: tuple[LayerStatistics, ...]
    history: StatisticsHistory


def layer_groups(network: Network) -> tuple[tuple[int, ...], ...]:
    """The layers that share statistics: an elementwise layer without parameters, such as a ReLU, joins the layer
    before it; identity layers and reshapes have none."""
    groups: list[list[int]] = []
    for number, (layer, shape) in enumerate(zip(network.layers, network.shapes, strict=False), 1):
        if layer.traits.reshapes or layer.traits.is_identity:
            continue
        if layer.traits.is_elementwise and layer.parameter_shape(shape) is None and groups:
            groups[-1].append(number)
        else:
            groups.append([number])
    return tuple(tuple(group) for group in groups)


def parameter_names(network: Network, number: int) -> tuple[str, ...]:
    """The names of the parameters of a layer, such as conv2d-1.weight, buffers excluded; `number` is from 1."""
    layer, shape = network.layers[number - 1], network.shapes[number - 1]
    parameter_shape = layer.parameter_shape(shape)
    if parameter_shape is None:
        return ()
    # Broadcast from one number: no memory is allocated.
    views = layer.parameter_views(np.broadcast_to(np.float32(0), parameter_shape), shape)
    return tuple(f"{network.names[number]}.{name}" for name in views)


def compute_layer_statistics(
    network: Network,
    layers: tuple[int, ...],
    parameters: Parameters,
    change: ParameterChange | None,
    values: HostArray,
) -> LayerStatistics:
    """The statistics of a group of layers. values: outputs of its last layer, (examples, ...)."""
    names = [name for number in layers for name in parameter_names(network, number)]
    if not names:
        return LayerStatistics(layers, values=histogram(subsample(values)))
    weights = _concatenated(parameters, names)
    norm = _norm(weights)
    row = LayerStatistics(layers, histogram(subsample(weights)), histogram(subsample(values)), weight_norm=norm)
    if change is None:
        return row
    gradients, changes = _concatenated(change.gradients, names), _concatenated(change.changes, names)
    relative = _norm(changes) / norm if norm else None
    return LayerStatistics(
        layers, row.weights, row.values, histogram(subsample(gradients)), norm, _norm(gradients), relative
    )


def subsample(values: HostArray) -> HostArray:
    """At most MAX_VALUES of the values, (n,), evenly spaced."""
    flat = values.reshape(-1)
    return flat[:: -(-flat.size // MAX_VALUES) or 1]


def relu_layers(network: Network) -> Iterator[tuple[int, int]]:
    """Every layer that sets negative values to 0, such as a ReLU, after the layer whose features it acts on."""
    for relu, layer in enumerate(network.layers, 1):
        number = relu
        while layer.traits.zeroes_negatives and number and not network.layers[number - 1].traits.connects_channels:
            number -= 1
        if layer.traits.zeroes_negatives and number and network.shapes[number][0] == network.shapes[relu][0]:
            yield number, relu


def find_dead_features(network: Network, peaks: Mapping[int, HostArray]) -> tuple[DeadFeatures, ...]:
    """The dead features. peaks: by ReLU layer, the largest value of every channel on any example, (channels,)."""
    found = []
    for layer, relu in relu_layers(network):
        channels = tuple(int(channel) for channel in np.flatnonzero(peaks[relu] == 0))
        if channels:
            found.append(DeadFeatures(layer, relu, channels))
    return tuple(found)


def _concatenated(values: Parameters, names: list[str]) -> HostArray:
    return np.concatenate([values[name].reshape(-1) for name in names])


def _norm(values: HostArray) -> float:
    return float(np.linalg.norm(values.astype(np.float64)))


class NormHistory:
    """The norms of gradients and changes of each group of layers, along every branch of a history."""

    def __init__(self) -> None:
        self._branches: dict[int, list[tuple[int, list[float], list[float]]]] = {}

    def add(self, point: RunPoint, rows: Sequence[LayerStatistics]) -> None:
        """Add those of a point; the entries of a branch are ordered by step."""
        if all(row.gradient_norm is None for row in rows):
            return
        entries = self._branches.setdefault(point.branch, [])
        entries[:] = [entry for entry in entries if entry[0] != point.step]
        norms = [np.nan if row.gradient_norm is None else row.gradient_norm for row in rows]
        changes = [np.nan if row.relative_change is None else row.relative_change for row in rows]
        entries.append((point.step, norms, changes))
        entries.sort(key=lambda entry: entry[0])
        if len(entries) > _MAX_HISTORY:
            # Every second entry is dropped, the last kept, so that the history covers runs of any length.
            entries[:] = entries[(len(entries) - 1) % 2 :: 2]

    def of_branch(self, branch: int, groups: int) -> StatisticsHistory:
        """The norms along a branch whose network has so many groups of layers."""
        entries = self._branches.get(branch, [])
        arrays = (
            np.array([step for step, _, _ in entries], np.int64),
            np.array([norms for _, norms, _ in entries], np.float32).reshape(-1, groups),
            np.array([changes for _, _, changes in entries], np.float32).reshape(-1, groups),
        )
        for array in arrays:
            array.flags.writeable = False
        return StatisticsHistory(*arrays)


class StatisticsCalculator:
    """Computes the statistics of one network on one backend, in slices.

    norms: of the history of its training; they grow with each computation of all statistics.
    """

    def __init__(self, network: Network, backend: Backend, norms: NormHistory) -> None:
        self.network, self.backend, self.norms = network, backend, norms
        self._groups = layer_groups(network)
        self._relus = tuple(relu for _, relu in relu_layers(network))
        self._predictor: BatchPredictor | None = None

    def iter_slices(
        self,
        point: RunPoint,
        held_out: Dataset,
        parameters: Parameters,
        change: ParameterChange | None = None,
        *,
        complete: bool,
    ) -> Iterator[NetworkStatistics | None]:
        """None after each slice, at last the statistics of the parameters of `point`.

        change: made by the step to it, None where it is unknown.
        complete: all statistics, not only the dead features.
        """
        peaks: dict[int, HostArray] = {}
        kept: dict[int, list[HostArray]] = {group[-1]: [] for group in self._groups}
        total = 0
        for outputs, count in self._iter_outputs(held_out, parameters):
            self._update_peaks(peaks, outputs)
            for number, arrays in kept.items():
                if complete and (not arrays or total * outputs[number][0].size < MAX_VALUES):
                    arrays.append(outputs[number])
            total += count
            yield None
        rows: list[LayerStatistics] = []
        for group in self._groups if complete else ():
            values = np.concatenate(kept[group[-1]])
            rows.append(compute_layer_statistics(self.network, group, parameters, change, values))
            yield None
        self.norms.add(point, rows)
        history = self.norms.of_branch(point.branch, len(self._groups))
        dead = find_dead_features(self.network, peaks)
        yield NetworkStatistics(self.network, point, total, dead, tuple(rows), history)

    def _iter_outputs(self, held_out: Dataset, parameters: Parameters) -> Iterator[tuple[list[HostArray], int]]:
        """The input and the outputs of every layer, (n, ...) each, and n, batch by batch."""
        multiplies = max(1, sum(cost.multiplies for cost in self.network.costs))
        images = held_out.images[: min(MAX_EXAMPLES, max(_MIN_EXAMPLES, _TOTAL_MULTIPLIES // multiplies))]
        if self._predictor is None:
            size = min(max(1, _SLICE_MULTIPLIES // multiplies), MAX_EXAMPLES)
            self._predictor = BatchPredictor(self.network, self.backend, size, keep_outputs=True)
        predictor = self._predictor
        predictor.load(parameters)
        for done in predictor.iter_batches(images):
            assert done is not None
            yield [output[: len(done)] for output in predictor.plan.outputs()], len(done)

    def _update_peaks(self, peaks: dict[int, HostArray], outputs: list[HostArray]) -> None:
        """The largest value so far of every channel after the ReLU layers."""
        for relu in self._relus:
            values = outputs[relu]
            peak = values.reshape(len(values), values.shape[1], -1).max(axis=(0, 2))
            peaks[relu] = np.maximum(peaks[relu], peak) if relu in peaks else peak

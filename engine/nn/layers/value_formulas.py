"""Arithmetic: how one value came about, in numbers: what was read, what it was weighed with, what came of it.

Not text, and not a second engine: each layer says which of these forms its values have (`Layer.arithmetic`). All
numbers are float64, made from the float32 values that the pass read. Outside the frame a cell's place is OUTSIDE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from engine.backends.ops import Activation as Function
from engine.backends.ops import HostArray

# Where a value stands in an output: (channel, row, column), or (place,) in a list.
Place: TypeAlias = tuple[int, ...]
OUTSIDE = -1


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """cells: where in the layer's input, flat in row order, the values read stand; int64 of any shape."""

    cells: HostArray

    @property
    def result(self) -> float:
        """What it comes to."""
        raise NotImplementedError

    @property
    def shares(self) -> HostArray:
        """What each cell brings to the result, in the shape of `cells`; the rest, such as a bias, is nobody's."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class WeightedSum(Arithmetic):
    """sum of value x weight, divided by `divisor`, plus `bias` (None where there is none).

    values, weights: in the shape of `cells`: (C, size, size) for a window of features, (h, w) for a mean, (n,) for
    a list. A value outside the frame is 0.
    """

    values: HostArray
    weights: HostArray
    divisor: int = 1
    bias: float | None = None

    @property
    def products(self) -> HostArray:
        """Value x weight, one by one."""
        made: HostArray = self.values * self.weights
        return made

    @property
    def total(self) -> float:
        """The sum of the products."""
        return float(self.products.sum())

    @property
    def result(self) -> float:
        """The sum, divided, with the bias."""
        return self.total / self.divisor + (self.bias or 0.0)

    @property
    def shares(self) -> HostArray:
        """The products, divided."""
        made: HostArray = self.products / self.divisor
        return made


@dataclass(frozen=True, eq=False)
class Largest(Arithmetic):
    """The largest of `values` (h, w); of equal ones the first in row order wins."""

    values: HostArray

    @property
    def winner(self) -> int:
        """Which of the values, counted in row order, won."""
        return int(self.values.argmax())

    @property
    def tied(self) -> int:
        """How many of the values are as large as the one that won, itself included."""
        return int((self.values == self.values.max()).sum())

    @property
    def result(self) -> float:
        """The winner's value."""
        return float(self.values.max())

    @property
    def shares(self) -> HostArray:
        """All of it the winner's."""
        made = np.zeros(self.values.shape)
        made.flat[self.winner] = self.result
        return made


@dataclass(frozen=True, eq=False)
class Bent(Arithmetic):
    """A function of one value. leak: the slope left of 0, for the functions that have one."""

    function: Function
    value: float
    leak: float = 0.0

    @property
    def result(self) -> float:
        """The function of the value."""
        x = self.value
        if self.function == "tanh":
            return math.tanh(x)
        if self.function == "sigmoid":
            return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
        return x if x > 0 else self.leak * x

    @property
    def shares(self) -> HostArray:
        """All of it the one value's."""
        return np.array([self.result])


@dataclass(frozen=True, eq=False)
class Normalized(Arithmetic):
    """weight x (value - mean) / sqrt(variance + epsilon) + bias."""

    value: float
    mean: float
    variance: float
    epsilon: float
    weight: float
    bias: float

    @property
    def spread(self) -> float:
        """What the distance from the mean is divided by."""
        return math.sqrt(self.variance + self.epsilon)

    @property
    def normal(self) -> float:
        """The value in spreads from the mean."""
        return (self.value - self.mean) / self.spread

    @property
    def result(self) -> float:
        """Scaled and shifted as learnt."""
        return self.weight * self.normal + self.bias

    @property
    def shares(self) -> HostArray:
        """The value's part, without what the mean and the bias add."""
        return np.array([self.weight * self.value / self.spread])


@dataclass(frozen=True, eq=False)
class Shifted(Arithmetic):
    """value - mean."""

    value: float
    mean: float

    @property
    def result(self) -> float:
        """What is left."""
        return self.value - self.mean

    @property
    def shares(self) -> HostArray:
        """The value."""
        return np.array([self.value])


@dataclass(frozen=True, eq=False)
class Passed(Arithmetic):
    """The value as it is. rate: the share that is switched off while learning, None where nothing ever is."""

    value: float
    rate: float | None = None

    @property
    def result(self) -> float:
        """The value."""
        return self.value

    @property
    def shares(self) -> HostArray:
        """All of it the value's."""
        return np.array([self.value])


@dataclass(frozen=True, eq=False)
class Skipped(Arithmetic):
    """value + what the stack makes of it and of what is around it."""

    value: float
    stack: float

    @property
    def result(self) -> float:
        """The sum."""
        return self.value + self.stack

    @property
    def shares(self) -> HostArray:
        """The value's own part; the stack's belongs to many."""
        return np.array([self.value])


@dataclass(frozen=True, eq=False)
class Products:
    """What one parameter's gradient is the sum of: sum(inputs * gradients) / divisor.

    inputs: (N, *places), what the parameter multiplies at each place of each example; gradients: the same shape,
    the error's gradient in the output that this product goes into.
    """

    inputs: HostArray
    gradients: HostArray
    divisor: int = 1

    def sums(self) -> HostArray:
        """(N,) float64: each example's part of the gradient."""
        products = self.inputs.astype(np.float64) * self.gradients
        summed: HostArray = products.reshape(len(products), -1).sum(1) / self.divisor
        return summed


def flat_place(place: Place, shape: tuple[int, ...]) -> HostArray:
    """(1,) int64: where a place stands in an array of `shape`, in row order."""
    return np.array([np.ravel_multi_index(place, shape)], np.int64)


def window_cells(shape: tuple[int, ...], channel: int, rows: range, columns: range) -> HostArray:
    """(rows, columns) int64: where a window of one map stands in (C, H, W), flat; OUTSIDE beyond the frame."""
    down, right = (np.arange(axis.start, axis.stop, dtype=np.int64) for axis in (rows, columns))
    cells: HostArray = (channel * shape[1] + down[:, None]) * shape[2] + right
    inside = ((down >= 0) & (down < shape[1]))[:, None] & ((right >= 0) & (right < shape[2]))
    return np.where(inside, cells, OUTSIDE)


def values_at(x: HostArray, cells: HostArray) -> HostArray:
    """float64 values of `x` at flat `cells`, 0 where they are OUTSIDE."""
    taken: HostArray = np.where(cells == OUTSIDE, 0.0, x.ravel()[np.maximum(cells, 0)].astype(np.float64))
    return taken

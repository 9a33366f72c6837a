"""Value formulas: how one output value is computed, in numbers (`Layer.value_formula`).

All numbers are float64, from the float32 values of the pass. The index of a cell outside the frame is OUTSIDE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from engine.backends import HostArray
from engine.nn.layers.description import Spelling

# The index of a value in an output: (channel, row, column), or (i,) in a vector.
CellIndex: TypeAlias = tuple[int, ...]
OUTSIDE = -1


@dataclass(frozen=True, eq=False)
class ValueFormula:
    """cells: flat indices, in row order, of the values read in the layer's input; int64 of any shape."""

    cells: HostArray

    @property
    def result(self) -> float:
        """The value."""
        raise NotImplementedError

    @property
    def contributions(self) -> HostArray:
        """The contribution of each cell to the result, in the shape of `cells`; a bias is no part of it, nor is
        padding, of which nothing in the layer below can be the cause."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class WeightedSum(ValueFormula):
    """sum of value × weight, divided by `normalizer`, plus `bias` (None without).

    values, weights: in the shape of `cells`: (C, size, size) for a convolution window, (h, w) for a mean, (n,) for
        a vector. A value outside the frame is the padding's.
    """

    values: HostArray
    weights: HostArray
    normalizer: int = 1
    bias: float | None = None

    @property
    def products(self) -> HostArray:
        products: HostArray = self.values * self.weights
        return products

    @property
    def total(self) -> float:
        return float(self.products.sum())

    @property
    def result(self) -> float:
        return self.total / self.normalizer + (self.bias or 0.0)

    @property
    def contributions(self) -> HostArray:
        shares: HostArray = np.where(self.cells == OUTSIDE, 0.0, self.products / self.normalizer)
        return shares


@dataclass(frozen=True, eq=False)
class Maximum(ValueFormula):
    """The maximum of `values` (h, w); of equal ones the first in row order."""

    values: HostArray

    @property
    def argmax(self) -> int:
        """The index of the maximum, in row order."""
        return int(self.values.argmax())

    @property
    def tie_count(self) -> int:
        """How many values equal the maximum, itself included."""
        return int((self.values == self.values.max()).sum())

    @property
    def result(self) -> float:
        return float(self.values.max())

    @property
    def contributions(self) -> HostArray:
        shares = np.zeros(self.values.shape)
        shares.flat[self.argmax] = self.result
        return shares


@dataclass(frozen=True, eq=False)
class ElementwiseFunction(ValueFormula):
    """A function of one value."""

    value: float
    output: float
    spelling: Spelling

    @property
    def result(self) -> float:
        return self.output

    @property
    def contributions(self) -> HostArray:
        return np.array([self.result])


@dataclass(frozen=True, eq=False)
class Normalized(ValueFormula):
    """weight × (value - mean) / sqrt(variance + epsilon) + bias."""

    value: float
    mean: float
    variance: float
    epsilon: float
    weight: float
    bias: float

    @property
    def std(self) -> float:
        """The standard deviation."""
        return math.sqrt(self.variance + self.epsilon)

    @property
    def normalized(self) -> float:
        """The value in standard deviations from the mean."""
        return (self.value - self.mean) / self.std

    @property
    def result(self) -> float:
        return self.weight * self.normalized + self.bias

    @property
    def contributions(self) -> HostArray:
        """The part of the value, without those of mean and bias."""
        return np.array([self.weight * self.value / self.std])


@dataclass(frozen=True, eq=False)
class Centered(ValueFormula):
    """value - mean."""

    value: float
    mean: float

    @property
    def result(self) -> float:
        return self.value - self.mean

    @property
    def contributions(self) -> HostArray:
        return np.array([self.value])


@dataclass(frozen=True, eq=False)
class Identity(ValueFormula):
    """The value as it is. dropout_rate: the share that is zeroed in training mode, None without dropout."""

    value: float
    dropout_rate: float | None = None

    @property
    def result(self) -> float:
        return self.value

    @property
    def contributions(self) -> HostArray:
        return np.array([self.value])


@dataclass(frozen=True, eq=False)
class SkipSum(ValueFormula):
    """value + the output of the layers inside a residual block."""

    value: float
    branch: float

    @property
    def result(self) -> float:
        return self.value + self.branch

    @property
    def contributions(self) -> HostArray:
        """The value's own part; the block's has many sources."""
        return np.array([self.value])


@dataclass(frozen=True, eq=False)
class GradientTerms:
    """The terms of one parameter's gradient: sum(inputs * gradients) / normalizer.

    inputs: (N, *positions), what the parameter multiplies at each position of each example
    gradients: the same shape, the gradient of the loss in the output that this product is part of
    """

    inputs: HostArray
    gradients: HostArray
    normalizer: int = 1

    def per_example(self) -> HostArray:
        """float64 (N,): each example's part of the gradient."""
        products = self.inputs.astype(np.float64) * self.gradients
        summed: HostArray = products.reshape(len(products), -1).sum(1) / self.normalizer
        return summed


def flat_index(index: CellIndex, shape: tuple[int, ...]) -> HostArray:
    """int64 (1,): the flat index of `index` in an array of `shape`."""
    return np.array([np.ravel_multi_index(index, shape)], np.int64)


def window_cells(shape: tuple[int, ...], channel: int, rows: range, columns: range) -> HostArray:
    """int64 (rows, columns): flat indices in (C, H, W) of a window of one map; OUTSIDE beyond the frame."""
    down, right = (np.arange(axis.start, axis.stop, dtype=np.int64) for axis in (rows, columns))
    cells: HostArray = (channel * shape[1] + down[:, None]) * shape[2] + right
    inside = ((down >= 0) & (down < shape[1]))[:, None] & ((right >= 0) & (right < shape[2]))
    return np.where(inside, cells, OUTSIDE)


def values_at(x: HostArray, cells: HostArray, outside: float = 0.0) -> HostArray:
    """float64 values of `x` at flat `cells`, `outside` where OUTSIDE."""
    values: HostArray = np.where(cells == OUTSIDE, outside, x.ravel()[np.maximum(cells, 0)].astype(np.float64))
    return values

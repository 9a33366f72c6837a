"""Votes: the article's last layer, in which the score of a class is the mean of the values that are strong for
it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from engine.backends import Array, Calls, HostArray, Ops
from engine.nn.layers.description import LayerText, Phrase, Traits
from engine.nn.layers.layer import Arrays, Layer, LayerArrays, Shape, ShapeError, require, require_vector
from engine.nn.layers.value_formulas import CellIndex, WeightedSum, values_at


@dataclass(frozen=True)
class Votes(Layer):
    """y[k] = mean of x over the positions strong[k] (counted from 0); no parameters.

    Rohrer's slides give no numeric weights: a class's vote is the mean of the values at its strong positions, which
    is a fully connected layer whose weights are 1 / (number of strong positions) there and 0 elsewhere.
    """

    kind: ClassVar[str] = "votes"
    strong: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        """Raises ValueError without classes, or if a class has no position, a negative or a repeated one."""
        fits = isinstance(self.strong, tuple) and bool(self.strong) and all(map(_are_positions, self.strong))
        require(self, "strong", fits, "one or more different positions, whole numbers from 0 up, for each class")

    @cached_property
    def traits(self) -> Traits:
        return Traits(connects_channels=True, changes_scale=True, strong=self.strong)

    @cached_property
    def text(self) -> LayerText:
        return LayerText("Votes", Phrase("mean of the strong"))

    def with_outputs(self, kept: Sequence[int | None]) -> Votes | None:
        """The same positions in another order; None for a new output, of which no positions are known."""
        known = [self.strong[output] for output in kept if output is not None]
        return Votes(tuple(known)) if len(known) == len(kept) else None

    def output_shape(self, shape: Shape) -> Shape:
        """(classes,). Raises ShapeError if a position is beyond the vector."""
        length, last = require_vector(self, shape), max(max(positions) for positions in self.strong)
        if last >= length:
            raise ShapeError(
                f"it uses position {last} (from 0) but gets a vector of {length}; choose positions in it"
            )
        return (len(self.strong),)

    def weights(self, length: int, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
        """The fixed weights (classes, length)."""
        weights = np.zeros((len(self.strong), length), dtype)
        for row, positions in zip(weights, self.strong, strict=True):
            row[list(positions)] = 1 / len(positions)
        return weights

    def multiplies(self, shape: Shape) -> int:
        """One per class: the division."""
        return len(self.strong)

    def receptive_range(self, shape: Shape, rows: range, columns: range) -> None:
        return

    def receptive_mask(self, shape: Shape, mask: HostArray) -> HostArray:
        is_read: HostArray = np.any(self.weights(shape[0])[mask] > 0, axis=0)
        return is_read

    def influence_mask(self, shape: Shape, mask: HostArray) -> HostArray:
        reads: HostArray = np.any(self.weights(shape[0])[:, mask] > 0, axis=1)
        return reads

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> WeightedSum:
        cells = np.array(self.strong[index[0]], np.int64)
        return WeightedSum(cells, values_at(x, cells), np.ones(len(cells)), len(cells))

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        arrays.context = self._matrix(ops, arrays.x.values)
        return ops.matmul(arrays.context, arrays.x.values, arrays.y)

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        return [] if arrays.dx is None else ops.matmul(arrays.context.T, arrays.dy, arrays.dx)

    def _matrix(self, ops: Ops, x: Array) -> Array:
        return ops.from_host(self.weights(len(x), x.dtype))


def _are_positions(value: object) -> bool:
    """Whether `value` is one or more distinct integers from 0."""
    if not isinstance(value, tuple) or not all(isinstance(item, int) for item in value):
        return False
    positions = [item for item in value if not isinstance(item, bool) and item >= 0]
    return 0 < len(set(positions)) == len(value)

"""Votes: the article's last layer, in which each class hears only the values that are strong when it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engine.layers.layer import Layer, Shape, ShapeError, Stage, need_vector
from engine.operations import Array, Calls, Operations


@dataclass(frozen=True)
class Votes(Layer):
    """y[k] = mean of x over the positions strong[k] (counted from 0); it has no parameters.

    Rohrer's slides give no numeric weights: a class's vote is the mean of the values at its strong positions,
    which is a fully connected layer whose weights are 1 / (number of strong positions) there and 0 elsewhere.
    """

    kind: ClassVar[str] = "votes"
    strong: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        """Raises ValueError without classes, if a class has no position, or one is negative or named twice."""
        if not self.strong:
            raise ValueError("A layer's strong needs the positions of at least one class.")
        for positions in self.strong:
            if not positions or min(positions) < 0 or len(set(positions)) != len(positions):
                raise ValueError(
                    "A layer's strong needs one or more different positions from 0 up for each class, "
                    f"not {positions!r}."
                )

    def output_shape(self, shape: Shape) -> Shape:
        """(classes,). Raises ShapeError if a position lies beyond the list."""
        length, last = need_vector(self, shape), max(max(positions) for positions in self.strong)
        if last >= length:
            raise ShapeError(
                f"it listens to position {last} (from 0) but gets a list of {length}; choose positions in it"
            )
        return (len(self.strong),)

    def weights(self, length: int, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
        """The fixed weights (classes, length)."""
        weights = np.zeros((len(self.strong), length), dtype)
        for row, positions in zip(weights, self.strong, strict=True):
            row[list(positions)] = 1 / len(positions)
        return weights

    def multiplies(self, shape: Shape) -> int:
        """One for each class: the division."""
        return len(self.strong)

    def reads(self, shape: Shape, rows: range, columns: range) -> None:
        """A list has no rows and columns to follow back."""
        return

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The mean of each class's strong values."""
        stage.work = self._matrix(ops, stage.x.values)
        return ops.product(stage.work, stage.x.values, stage.y)

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """Every strong value takes its share of its class's gradient."""
        return [] if stage.dx is None else ops.product(stage.work.T, stage.dy, stage.dx)

    def _matrix(self, ops: Operations, x: Array) -> Array:
        return ops.from_host(self.weights(len(x), x.dtype))

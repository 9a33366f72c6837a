"""Rows: convolution by one matrix product for each row of windows."""

from __future__ import annotations

import numpy as np

from engine.array_operations import memory
from engine.array_operations.calls import call, run
from engine.array_operations.features import Features
from engine.array_operations.input_gradient import InputGradient
from engine.array_operations.products import product
from engine.array_operations.scatter import scatter
from engine.array_operations.strips import Strips, rows_of
from engine.operations import Array, Calls


class Rows:
    """See Operations.convolution; for rows of many values (W' * N)."""

    def __init__(
        self, x: Array, matrix: Array, y: Array, size: int, stride: int, margin: int, divisor: int
    ) -> None:
        channels, rows, _, batch = x.shape
        self._x, self._y, self._stride, self._margin = x, y, stride, margin
        self._features = Features(matrix, channels, size, divisor)
        self._strips = Strips(rows, channels, size, y.shape[2], batch, 1, x.dtype)

    def forward(self) -> Calls:
        """The calls that fill y."""
        matrices = self._strips.matrices(0, self._y.shape[1], self._stride)
        return [
            *self._features.lay_out(),
            *self._strips.windows_of(self._x, self._stride),
            product(self._features.rows, matrices, rows_of(self._y)),
            *self._features.add_bias(self._y),
        ]

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """The calls that fill dmatrix and dx from dy and the last forward pass."""
        calls: Calls = []
        if dmatrix is not None:
            matrices = self._strips.matrices(0, dy.shape[1], self._stride)
            parts = self._features.parts(len(matrices))
            calls += self._features.gradient(matrices, rows_of(dy), parts)
            calls += self._features.settle(parts, dy, dmatrix)
        if dx is None:
            return calls
        if self._stride > 1:
            return calls + self._scatter(dy, dx)
        gradient = InputGradient(self._features, dx, dy.shape[1], dy.shape[2], self._margin, 1)
        calls.append(run(np.copyto, gradient.rows(0, dy.shape[1]), dy[:, :, None]))
        return calls + gradient.finish()

    def _scatter(self, dy: Array, dx: Array) -> Calls:
        """dx: what every window gives back, put where it was read."""
        _, height, width, batch = dy.shape
        size = self._features.size
        taps = memory.zeros((height, size, len(dx), size, width, batch), dx.dtype)
        calls = [call(np.matmul, self._features.rows.T, rows_of(dy), out=taps.reshape(height, -1, width * batch))]
        return calls + scatter(taps.transpose(1, 3, 2, 0, 4, 5), dx, self._stride, self._margin)

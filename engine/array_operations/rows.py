"""Rows: convolution by matrix products for some rows of windows at a time."""

from __future__ import annotations

import numpy as np

from engine.array_operations import memory
from engine.array_operations.calls import call, run
from engine.array_operations.features import Features
from engine.array_operations.input_gradient import InputGradient
from engine.array_operations.row_products import row_products
from engine.array_operations.scatter import scatter
from engine.array_operations.strips import rows_of
from engine.backends.ops import Array, Calls


class Rows:
    """See Operations.convolution; for rows of many values (W' * N)."""

    def __init__(
        self, x: Array, matrix: Array, y: Array, size: int, stride: int, margin: int, divisor: int
    ) -> None:
        self._y, self._stride, self._margin = y, stride, margin
        self._features = Features(matrix, len(x), size, divisor)
        self._products = row_products(x, self._features, y.shape[1], y.shape[2], stride, 1)

    def forward(self) -> Calls:
        """The calls that fill y."""
        y = self._y
        return self._products.prepare() + self._products.forward(0, y) + self._features.add_bias(y)

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """The calls that fill dmatrix and dx from dy and the last forward pass."""
        calls: Calls = []
        if dmatrix is not None:
            self._products.start()
            calls += self._products.backward(0, dy) + self._products.finish(dy, dmatrix)
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

"""Features: a convolution's weights in the order in which strips are multiplied, and their gradient put back."""

from __future__ import annotations

import numpy as np

from engine.array_operations import memory
from engine.array_operations.calls import call, run
from engine.operations import Array, Calls

# Of fewer features, a product gives the gradient with the features as rows more quickly than as columns.
FEW = 8


class Features:
    """The matrix (F, C * size * size [+ 1]) of Operations.convolution, divided by `divisor` but for the bias.

    Strips want a feature's weights in the order (row, channel, column); they are stored as (channel, row, column).
    """

    def __init__(self, matrix: Array, channels: int, size: int, divisor: int) -> None:
        self.count, self.channels, self.size = len(matrix), channels, size
        self._taps = channels * size * size
        self._share = matrix.dtype.type(1 / divisor)
        self._by_row = self._sorted(matrix)
        self.bias = matrix[:, self._taps :]
        self._as_stored = divisor == 1 and (channels == 1 or size == 1)
        self.rows = (
            matrix[:, : self._taps] if self._as_stored else memory.zeros((self.count, self._taps), matrix.dtype)
        )

    def lay_out(self) -> Calls:
        """The calls that fill `rows` (F, size * C * size)."""
        if self._as_stored:
            return []
        return [call(np.multiply, self._by_row, self._share, out=self.rows.reshape(self._by_row.shape))]

    def turned(self) -> tuple[Array, Calls]:
        """The weights (size * C, size * F) with which InputGradient multiplies, in the order (column, channel) by
        (row from the last on, feature), and the calls that fill them."""
        turned = self._by_row[:, ::-1].transpose(3, 2, 1, 0)
        weights = memory.zeros(turned.shape, turned.dtype)
        flat = weights.reshape(self.size * self.channels, -1)
        return flat, [call(np.multiply, turned, self._share, out=weights)]

    def add_bias(self, y: Array) -> Calls:
        """y (F, H, W, N) += bias, if there is one."""
        return [call(np.add, y, self.bias[:, :, None, None], out=y)] if self.bias.size else []

    def parts(self, rows: int) -> Array:
        """Memory for each row's part of the gradient, (rows, size * C * size, F); of few features, in the order in
        which a row's product is quicker."""
        if self.count < FEW:
            return memory.zeros((rows, self.count, self._taps), self.rows.dtype).transpose(0, 2, 1)
        return memory.zeros((rows, self._taps, self.count), self.rows.dtype)

    def gradient(self, strips: Array, dy: Array, parts: Array) -> Calls:
        """parts = each row's part of the gradient: strips (rows, size * C * size, n), dy (rows, F, n)."""
        if self.count < FEW:
            return [call(np.matmul, dy, strips.transpose(0, 2, 1), out=parts.transpose(0, 2, 1))]
        return [call(np.matmul, strips, dy.transpose(0, 2, 1), out=parts)]

    def settle(self, parts: Array, dy: Array, dmatrix: Array) -> Calls:
        """dmatrix = all rows' parts, in the order that is stored, and the sums of dy (F, ...) for the biases."""
        total = memory.zeros(parts.shape[1:], parts.dtype)
        target = self._sorted(dmatrix).transpose(1, 2, 3, 0)
        calls = [
            run(np.add.reduce, parts, axis=0, out=total),
            call(np.multiply, total.reshape(target.shape), self._share, out=target),
        ]
        if self.bias.size:
            rows = dy.reshape(self.count, dy.shape[1], -1)
            ones, sums = np.ones(rows.shape[2], dy.dtype), memory.zeros(rows.shape[:2], dy.dtype)
            calls.append(call(np.matmul, rows, ones, out=sums))
            calls.append(run(np.add.reduce, sums, axis=1, out=dmatrix[:, -1]))
        return calls

    def _sorted(self, matrix: Array) -> Array:
        """The weights of a matrix seen as (F, row, channel, column)."""
        return matrix[:, : self._taps].reshape(-1, self.channels, self.size, self.size).transpose(0, 2, 1, 3)

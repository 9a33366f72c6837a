"""Features: a convolution's weights in the order in which strips are multiplied, and their gradient put back."""

from __future__ import annotations

import numpy as np

from engine.array_operations import memory
from engine.array_operations.calls import call, run
from engine.backends.ops import Array, Calls


class Features:
    """The matrix (F, C * size * size [+ 1]) of Operations.convolution, divided by `divisor` but for the bias.

    Strips want a feature's weights in the order (row, channel, column); they are stored as (channel, row, column).
    """

    def __init__(self, matrix: Array, channels: int, size: int, divisor: int) -> None:
        self.count, self.channels, self.size = len(matrix), channels, size
        self.taps = channels * size * size
        self._share = matrix.dtype.type(1 / divisor)
        self._by_row = self._sorted(matrix)
        self.bias = matrix[:, self.taps :]
        self._as_stored = divisor == 1 and (channels == 1 or size == 1)
        self.rows = (
            matrix[:, : self.taps] if self._as_stored else memory.zeros((self.count, self.taps), matrix.dtype)
        )

    def lay_out(self) -> Calls:
        """The calls that fill `rows` (F, size * C * size)."""
        if self._as_stored:
            return []
        return [call(np.multiply, self._by_row, self._share, out=self.rows.reshape(self._by_row.shape))]

    def turned(self) -> tuple[Array, Calls]:
        """The weights (size * C, size, F) with which InputGradient multiplies: (column, channel), row from the last
        on, feature; and the calls that fill them."""
        turned = self._by_row[:, ::-1].transpose(3, 2, 1, 0)
        weights = memory.zeros(turned.shape, turned.dtype)
        calls = [call(np.multiply, turned, self._share, out=weights)]
        return weights.reshape(self.size * self.channels, self.size, self.count), calls

    def add_bias(self, y: Array) -> Calls:
        """y (F, H, W, N) += bias, if there is one."""
        return [call(np.add, y, self.bias[:, :, None, None], out=y)] if self.bias.size else []

    def store(self, gradient: Array, dy: Array, dmatrix: Array) -> Calls:
        """dmatrix = the gradient (size * C * size, F) in the order that is stored, and the sums of dy (F, H, W, N)
        for the biases."""
        target = self._sorted(dmatrix).transpose(1, 2, 3, 0)
        calls = [call(np.multiply, gradient.reshape(target.shape), self._share, out=target)]
        if self.bias.size:
            rows = dy.reshape(self.count, dy.shape[1], -1)
            ones, sums = np.ones(rows.shape[2], dy.dtype), memory.zeros(rows.shape[:2], dy.dtype)
            calls.append(call(np.matmul, rows, ones, out=sums))
            calls.append(run(np.add.reduce, sums, axis=1, out=dmatrix[:, -1]))
        return calls

    def _sorted(self, matrix: Array) -> Array:
        """The weights of a matrix seen as (F, row, channel, column)."""
        return matrix[:, : self.taps].reshape(-1, self.channels, self.size, self.size).transpose(0, 2, 1, 3)

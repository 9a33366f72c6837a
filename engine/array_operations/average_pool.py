"""Averages of maps on NumPy: of each window, and of a whole map."""

from __future__ import annotations

import numpy as np

from engine.array_operations import memory
from engine.array_operations.calls import call, run
from engine.array_operations.windows import taps
from engine.backends.ops import Array, Calls


class AveragePool:
    """See Operations.average_pool: the taps of all windows are added up, along the rows and then down the columns,
    and divided by how many there are."""

    def __init__(self, x: Array, y: Array, size: int, stride: int) -> None:
        self._x, self._y, self._size, self._stride = x, y, size, stride
        self._across = memory.zeros((*x.shape[:2], y.shape[2], x.shape[3]), x.dtype)
        high, wide = (self._counts(x.shape[axis], y.shape[axis]) for axis in (1, 2))
        self._share = (1 / np.outer(high, wide)).astype(x.dtype)[:, :, None]

    def forward(self) -> Calls:
        """The calls that fill y."""
        calls = self._sum(self._x, self._across, 2) + self._sum(self._across, self._y, 1)
        return [*calls, call(np.multiply, self._y, self._share, out=self._y)]

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        """The calls that fill dx."""
        if dx is None:
            return []
        share, dacross = memory.zeros(dy.shape, dy.dtype), memory.zeros(self._across.shape, dy.dtype)
        calls = [call(np.multiply, dy, self._share, out=share)]
        return calls + self._spread(share, dacross, 1) + self._spread(dacross, dx, 2)

    def _counts(self, length: int, windows: int) -> Array:
        starts = np.arange(windows) * self._stride
        return np.minimum(starts + self._size, length) - starts

    def _sum(self, x: Array, out: Array, axis: int) -> Calls:
        (first, _), *others = taps(x, out.shape[axis], axis, self._size, self._stride)
        calls: Calls = [run(np.copyto, out, first)]
        return calls + [call(np.add, out[part], values, out=out[part]) for values, part in others]

    def _spread(self, dout: Array, dx: Array, axis: int) -> Calls:
        calls: Calls = [run(dx.fill, 0)]
        for target, part in taps(dx, dout.shape[axis], axis, self._size, self._stride):
            calls.append(call(np.add, target, dout[part], out=target))
        return calls


class GlobalAverage:
    """See Operations.global_average."""

    def __init__(self, x: Array, y: Array) -> None:
        self._x, self._y = x, y

    def forward(self) -> Calls:
        """The calls that fill y."""
        return [run(np.mean, self._x, axis=(1, 2), out=self._y)]

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        """The calls that fill dx."""
        if dx is None:
            return []
        share = dy.dtype.type(1 / (self._x.shape[1] * self._x.shape[2]))
        return [call(np.multiply, dy[:, None, None], share, out=dx)]

"""Halves: a large convolution of few examples, its upper and lower rows made at the same time."""

from __future__ import annotations

from engine.array_operations.columns import Columns
from engine.array_operations.lanes import Lanes
from engine.backends.ops import Array, Calls


class Halves:
    """See Operations.convolution. Both halves are made alike, whatever runs at the same time, so the bytes do not
    depend on it.

    A gradient is that of the whole, whose columns are laid out again for it: it is rarely asked for here.
    """

    def __init__(
        self, x: Array, matrix: Array, y: Array, size: int, stride: int, margin: int, divisor: int, lanes: Lanes
    ) -> None:
        middle = y.shape[1] // 2
        upper = x[:, : (middle - 1) * stride + size], y[:, :middle]
        lower = x[:, middle * stride :], y[:, middle:]
        self._halves = [Columns(half, matrix, out, size, stride, margin, divisor) for half, out in (upper, lower)]
        self._whole = x, matrix, y, size, stride, margin, divisor
        self._lanes = lanes

    def forward(self) -> Calls:
        """The calls that fill y."""
        return self._lanes.together([half.forward() for half in self._halves])

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """The calls that fill dmatrix and dx from dy and what x holds."""
        whole = Columns(*self._whole)
        return [whole.lay_out(), *whole.backward(dy, dx, dmatrix)]

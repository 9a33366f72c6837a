"""DirectProducts: rows of a convolution, each a matrix product of the features with the strips that it reads."""

from __future__ import annotations

import numpy as np

from engine.array_operations import memory
from engine.array_operations.calls import call, run
from engine.array_operations.features import Features
from engine.array_operations.products import product
from engine.array_operations.strips import Strips, rows_of
from engine.backends.ops import Array, Calls

# Of fewer features, a product gives the gradient with the features as rows more quickly than as columns.
FEW = 8


class DirectProducts:
    """See RowProducts."""

    tile = 1

    def __init__(self, x: Array, features: Features, height: int, width: int, stride: int, cycle: int) -> None:
        channels, rows, _, batch = x.shape
        self._x, self._features, self._stride, self._height = x, features, stride, height
        self._strips = Strips(rows, channels, features.size, width, batch, cycle, x.dtype)

    def prepare(self) -> Calls:
        """The calls that lay out weights and pixels."""
        return self._features.lay_out() + self._strips.windows_of(self._x, self._stride)

    def forward(self, first: int, maps: Array) -> Calls:
        """The calls that fill the rows from `first` on."""
        strips = self._strips.matrices(first, maps.shape[1], self._stride)
        return [product(self._features.rows, strips, rows_of(maps))]

    def start(self) -> None:
        """Make room for each row's part of the gradient of the weights."""
        shape = (self._features.count, self._features.taps)
        few = self._features.count < FEW
        parts = memory.zeros((self._height, *(shape if few else shape[::-1])), self._x.dtype)
        self._few, self._parts = few, parts.transpose(0, 2, 1) if few else parts

    def backward(self, first: int, dmaps: Array) -> Calls:
        """The calls that take in the gradient of rows from `first` on."""
        strips = self._strips.matrices(first, dmaps.shape[1], self._stride)
        part, rows = self._parts[first : first + dmaps.shape[1]], rows_of(dmaps)
        if self._few:
            return [call(np.matmul, rows, strips.transpose(0, 2, 1), out=part.transpose(0, 2, 1))]
        return [call(np.matmul, strips, rows.transpose(0, 2, 1), out=part)]

    def finish(self, dy: Array, dmatrix: Array) -> Calls:
        """The calls that fill dmatrix, once all rows are taken in."""
        total = memory.zeros(self._parts.shape[1:], dy.dtype)
        return [
            run(np.add.reduce, self._parts, axis=0, out=total),
            *self._features.store(total, dy, dmatrix),
        ]

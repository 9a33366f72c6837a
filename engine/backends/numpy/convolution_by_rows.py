"""Rows: convolution by matrix products for some rows of windows at a time."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from engine.backends.numpy import calls as memory
from engine.backends.numpy.calls import call, run
from engine.backends.numpy.convolution_gradient import InputGradient
from engine.backends.numpy.indexing import scatter
from engine.backends.numpy.row_layout import Features, Strips, product, rows_of
from engine.backends.numpy.winograd import WinogradProducts, saves_time
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


class RowProducts(Protocol):
    """Rows of a convolution without its bias, some at a time: of `tile` rows or a multiple, but for the last.

    Made for padded pixels x (C, H, W, N), features, `height` rows of `width` windows, a stride, and a cycle by
    which the windows of a row are sorted: see Strips. Maps and their gradients are (F, rows, ..., N), their rows
    without gaps.
    """

    tile: int

    def prepare(self) -> Calls:
        """The calls that lay out weights and pixels; before all others."""
        ...

    def forward(self, first: int, maps: Array) -> Calls:
        """The calls that fill the rows from `first` on."""
        ...

    def start(self) -> None:
        """Make room for the gradient of the weights; before `backward`."""
        ...

    def backward(self, first: int, dmaps: Array) -> Calls:
        """The calls that take in the gradient of rows from `first` on."""
        ...

    def finish(self, dy: Array, dmatrix: Array) -> Calls:
        """The calls that fill dmatrix once all rows are taken in. dy: (F, H, W, N), whose sums are the biases'."""
        ...


def row_products(x: Array, features: Features, height: int, width: int, stride: int, cycle: int) -> RowProducts:
    """The way that suits the shape."""
    if stride == 1 and saves_time(features):
        return WinogradProducts(x, features, height, width, cycle)
    return DirectProducts(x, features, height, width, stride, cycle)


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

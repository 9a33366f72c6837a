"""RowProducts: how rows of a convolution are multiplied, and which way suits a shape."""

from __future__ import annotations

from typing import Protocol

from engine.array_operations.direct_products import DirectProducts
from engine.array_operations.features import Features
from engine.array_operations.winograd import saves_time
from engine.array_operations.winograd_products import WinogradProducts
from engine.backends.ops import Array, Calls


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

"""RowConvolution: convolution as one matrix product for each row of windows."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from engine.backends.numpy.calls import aligned_zeros, call, plain_call
from engine.backends.numpy.convolution_gradient import InputGradient
from engine.backends.numpy.indexing import scatter_add
from engine.backends.numpy.row_layout import KernelLayout, RowLayout, as_row_matrices, blocked_matmul
from engine.backends.numpy.winograd import WinogradProducts, is_winograd_faster
from engine.backends.ops import Array, Calls, ConvSpec

# Below this many kernels, their gradient is faster with the kernels as rows of the product than as columns.
FEW_KERNELS = 8


class DirectRowProducts:
    tile_rows = 1

    def __init__(self, x: Array, kernels: KernelLayout, height: int, width: int, stride: int, cycle: int) -> None:
        channels, rows, _, batch = x.shape
        self._x, self._kernels, self._stride, self._height = x, kernels, stride, height
        self._layout = RowLayout(rows, channels, kernels.size, width, batch, cycle, x.dtype)

    def prepare(self) -> Calls:
        return self._kernels.fill() + self._layout.fill_from(self._x, self._stride)

    def forward(self, first: int, maps: Array) -> Calls:
        windows = self._layout.window_matrices(first, maps.shape[1], self._stride)
        return [blocked_matmul(self._kernels.rows, windows, as_row_matrices(maps))]

    def start_gradient(self) -> None:
        shape = (self._kernels.out_channels, self._kernels.fan_in)
        few = self._kernels.out_channels < FEW_KERNELS
        parts = aligned_zeros((self._height, *(shape if few else shape[::-1])), self._x.dtype)
        self._few, self._parts = few, parts.transpose(0, 2, 1) if few else parts

    def add_gradient(self, first: int, dmaps: Array) -> Calls:
        windows = self._layout.window_matrices(first, dmaps.shape[1], self._stride)
        part, rows = self._parts[first : first + dmaps.shape[1]], as_row_matrices(dmaps)
        if self._few:
            return [call(np.matmul, rows, windows.transpose(0, 2, 1), out=part.transpose(0, 2, 1))]
        return [call(np.matmul, windows, rows.transpose(0, 2, 1), out=part)]

    def finish_gradient(self, dy: Array, dmatrix: Array) -> Calls:
        total = aligned_zeros(self._parts.shape[1:], dy.dtype)
        return [
            plain_call(np.add.reduce, self._parts, axis=0, out=total),
            *self._kernels.store_gradient(total, dy, dmatrix),
        ]


class RowProducts(Protocol):
    """A convolution without bias, computed for some output rows at a time: a multiple of `tile_rows`, but for the
    last.

    Constructed from a padded input x (C, H, W, N), the kernels, `height` rows of `width` windows, a stride, and the
    cycle by which the windows of a row are sorted; see RowLayout. Maps and their gradients are (F, rows, ..., N),
    with contiguous rows.
    """

    tile_rows: int

    def prepare(self) -> Calls:
        """Calls that copy weights and pixels into their layouts; run before all others."""
        ...

    def forward(self, first: int, maps: Array) -> Calls:
        """Calls that compute the output rows from `first` on."""
        ...

    def start_gradient(self) -> None:
        """Allocate memory for the weight gradient; called before `add_gradient`."""
        ...

    def add_gradient(self, first: int, dmaps: Array) -> Calls:
        """Calls that add the weight gradient of the output rows from `first` on."""
        ...

    def finish_gradient(self, dy: Array, dmatrix: Array) -> Calls:
        """Calls that fill dmatrix after all rows were added. dy: (F, H, W, N), whose sums are the bias
        gradients."""
        ...


def row_products(x: Array, kernels: KernelLayout, height: int, width: int, stride: int, cycle: int) -> RowProducts:
    """Winograd or direct row products, depending on the shape."""
    if stride == 1 and is_winograd_faster(kernels):
        return WinogradProducts(x, kernels, height, width, cycle)
    return DirectRowProducts(x, kernels, height, width, stride, cycle)


class RowConvolution:
    """Convolution by rows, for rows of many values (W' * N); see Ops.convolution."""

    def __init__(self, x: Array, matrix: Array, y: Array, spec: ConvSpec) -> None:
        self._y, self._stride, self._padding = y, spec.stride, spec.padding
        self._kernels = KernelLayout(matrix, len(x), spec.kernel_size, spec.normalizer)
        self._products = row_products(x, self._kernels, y.shape[1], y.shape[2], spec.stride, 1)

    def forward(self) -> Calls:
        y = self._y
        return self._products.prepare() + self._products.forward(0, y) + self._kernels.add_bias(y)

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        calls: Calls = []
        if dmatrix is not None:
            self._products.start_gradient()
            calls += self._products.add_gradient(0, dy) + self._products.finish_gradient(dy, dmatrix)
        if dx is None:
            return calls
        if self._stride > 1:
            return calls + self._scatter(dy, dx)
        gradient = InputGradient(self._kernels, dx, dy.shape[1], dy.shape[2], self._padding, 1)
        calls.append(plain_call(np.copyto, gradient.output_gradient_rows(0, dy.shape[1]), dy[:, :, None]))
        return calls + gradient.finish()

    def _scatter(self, dy: Array, dx: Array) -> Calls:
        """dx as the sum of the windows' gradients, for strides above 1."""
        _, height, width, batch = dy.shape
        size = self._kernels.size
        dwindows = aligned_zeros((height, size, len(dx), size, width, batch), dx.dtype)
        calls = [
            call(
                np.matmul,
                self._kernels.rows.T,
                as_row_matrices(dy),
                out=dwindows.reshape(height, -1, width * batch),
            )
        ]
        return calls + scatter_add(dwindows.transpose(1, 3, 2, 0, 4, 5), dx, self._stride, self._padding)

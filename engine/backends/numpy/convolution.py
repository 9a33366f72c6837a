"""Convolution on NumPy: the choice of an algorithm by the shapes, and im2col; the others are in separate
modules."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.backends.convolution_cost import is_fourier_faster
from engine.backends.numpy.calls import aligned_zeros, call, plain_call
from engine.backends.numpy.convolution_by_rows import RowConvolution
from engine.backends.numpy.fft_convolution import FourierConvolution
from engine.backends.numpy.indexing import flat_indices, is_take_faster, scatter_add, take
from engine.backends.numpy.row_layout import column_blocks, matrix_product
from engine.backends.numpy.threads import ThreadPair
from engine.backends.ops import Array, Call, Calls, ConvolutionOp, ConvSpec, PoolSpec


class Im2colConvolution:
    """Convolution by im2col, one matrix product with the windows as columns: fewest calls, most memory; for short
    rows.

    The columns end in a row filled with `normalizer`, which multiplies the bias, so that dividing the whole product
    by `normalizer` leaves the bias unchanged.
    """

    def __init__(self, x: Array, matrix: Array, y: Array, spec: ConvSpec) -> None:
        channels, batch = len(x), x.shape[3]
        out_channels, height, width, _ = y.shape
        size = spec.kernel_size
        self._size, self._stride, self._padding, self._normalizer = size, spec.stride, spec.padding, spec.normalizer
        self._matrix, self._y, self._fan_in = matrix, y, channels * size * size
        self._windows = self._windows_of(x, height, width)
        self._x = x
        self._indices: Array | None = None
        if is_take_faster(x, width * batch, self._fan_in * height * width * batch):
            indices = self._windows_of(flat_indices(x), height, width).reshape(self._fan_in, -1)
            self._indices = np.ascontiguousarray(indices)
        self._columns = aligned_zeros((matrix.shape[1], height * width * batch), x.dtype)
        self._columns[self._fan_in :] = spec.normalizer
        self._rows = out_channels * matrix.shape[1]
        self._column_blocks = column_blocks(self._columns, self._rows)

    def copy_windows(self) -> Call:
        """The call that copies the windows into the columns."""
        if self._indices is not None:
            return take(self._x, self._indices, self._columns[: self._fan_in])
        return plain_call(np.copyto, self._columns[: self._fan_in].reshape(self._windows.shape), self._windows)

    def forward(self) -> Calls:
        y = self._y
        flat = y if y[0].flags.c_contiguous else aligned_zeros(y.shape, y.dtype)
        calls = [self.copy_windows(), self._product(flat)]
        if self._normalizer != 1:
            calls.append(call(np.multiply, flat, y.dtype.type(1 / self._normalizer), out=flat))
        return calls if flat is y else [*calls, plain_call(np.copyto, y, flat)]

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        calls: Calls = []
        if self._normalizer != 1:
            scaled = aligned_zeros(dy.shape, dy.dtype)
            calls.append(call(np.multiply, dy, dy.dtype.type(1 / self._normalizer), out=scaled))
            dy = scaled
        dblocks = self._blocks_of(dy)
        if dmatrix is not None:
            parts = aligned_zeros((len(dblocks), *self._matrix.shape), dy.dtype)
            calls.append(call(np.matmul, dblocks, self._column_blocks.transpose(0, 2, 1), out=parts))
            calls.append(plain_call(np.add.reduce, parts, axis=0, out=dmatrix))
        if dx is not None:
            columns = aligned_zeros((self._fan_in, self._columns.shape[1]), dx.dtype)
            weights = self._matrix[:, : self._fan_in].T
            calls.append(call(np.matmul, weights, dblocks, out=column_blocks(columns, self._rows)))
            dwindows = columns.reshape(self._windows.shape).transpose(1, 2, 0, 3, 4, 5)
            calls += scatter_add(dwindows, dx, self._stride, self._padding)
        return calls

    def _windows_of(self, x: Array, height: int, width: int) -> Array:
        """A view of x (C, H, W, N) as windows (C, size, size, H', W', N)."""
        plane, row, pixel, image = x.strides
        shape = (len(x), self._size, self._size, height, width, x.shape[3])
        return as_strided(x, shape, (plane, row, pixel, row * self._stride, pixel * self._stride, image))

    def _product(self, maps: Array) -> Call:
        """The call that fills contiguous maps (F, H', W', N)."""
        if len(self._column_blocks) == 1:
            return matrix_product(self._matrix, self._columns, maps.reshape(len(maps), -1))
        return call(np.matmul, self._matrix, self._column_blocks, out=self._blocks_of(maps))

    def _blocks_of(self, maps: Array) -> Array:
        """Column blocks of maps (F, H', W', N), each of which is contiguous."""
        shape, strides = (len(maps), self._columns.shape[1]), (maps.strides[0], maps.itemsize)
        return column_blocks(as_strided(maps, shape, strides), self._rows)


class SplitConvolution:
    """Im2col convolution of the upper and the lower half on two threads.

    The split does not depend on the number of cores, so the result is bitwise the same. Gradients, rarely needed
    for these shapes, copy the windows of the whole input again.
    """

    def __init__(self, x: Array, matrix: Array, y: Array, spec: ConvSpec, threads: ThreadPair) -> None:
        middle = y.shape[1] // 2
        upper = x[:, : (middle - 1) * spec.stride + spec.kernel_size], y[:, :middle]
        lower = x[:, middle * spec.stride :], y[:, middle:]
        self._halves = [Im2colConvolution(half, matrix, out, spec) for half, out in (upper, lower)]
        self._whole = x, matrix, y, spec
        self._threads = threads

    def forward(self) -> Calls:
        return self._threads.in_parallel([half.forward() for half in self._halves])

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        whole = Im2colConvolution(*self._whole)
        return [whole.copy_windows(), *whole.backward(dy, dx, dmatrix)]


# From this many values in a row of windows, a matrix product for each row is as fast as one for all.
MIN_ROW_LENGTH = 128
# From this many multiplications (about 0.2 ms), splitting a convolution is worth a second thread.
MIN_SPLIT_MULTIPLICATIONS = 8_000_000


def convolution(x: Array, matrix: Array, y: Array, spec: ConvSpec, threads: ThreadPair) -> ConvolutionOp:
    """The algorithm for these shapes; see Ops.convolution. threads: used by large convolutions of few examples."""
    if spec.stride == 1 and is_fourier_faster(x.shape, len(y), spec.kernel_size):
        return FourierConvolution(x, matrix, y, spec)
    if y.shape[2] * y.shape[3] >= MIN_ROW_LENGTH:
        return RowConvolution(x, matrix, y, spec)
    if matrix.shape[1] * y.size >= MIN_SPLIT_MULTIPLICATIONS and y.shape[1] > 1:
        return SplitConvolution(x, matrix, y, spec, threads)
    return Im2colConvolution(x, matrix, y, spec)


def can_fuse_max_pool(x: Array, y: Array, spec: ConvSpec, pool: PoolSpec) -> bool:
    """Whether FusedConvMaxPool supports these shapes and is faster than a convolution followed by max pooling.

    x: (C, H, W, N), padded; y: the pooled output.
    """
    long = y.shape[2] * y.shape[3] >= MIN_ROW_LENGTH
    tiles = spec.stride == 1 and pool.size == pool.stride > 1
    return long and tiles and not is_fourier_faster(x.shape, len(y), spec.kernel_size)

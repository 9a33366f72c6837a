"""InputGradient: the gradient of a convolution with stride 1 with respect to its input."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.backends.numpy.calls import aligned_zeros, call, plain_call
from engine.backends.numpy.indexing import valid_windows
from engine.backends.numpy.row_layout import KernelLayout, blocked_matmul
from engine.backends.numpy.winograd import POINTS, TILE_ROWS, WinogradTransform, is_winograd_faster
from engine.backends.ops import Array, Calls

# Bytes of the matrix product that is computed and summed at a time.
BAND_BYTES = 1_000_000


class InputGradient:
    """dx[c, u, v] = sum over f, a, b of w[f, c, a, b] * dy[f, u + padding - a, v + padding - b].

    Each row of dy is a matrix (F, columns * N), and consecutive rows are adjacent in memory, so the `size` rows
    that a row of dx depends on are one matrix (size * F, columns * N) without a copy. One product gives the
    contribution of every kernel column b to every channel, which are then added with an offset of b. The columns of
    dy may be sorted by their position modulo `cycle`, as windows are; see RowLayout.
    """

    def __init__(self, kernels: KernelLayout, dx: Array, height: int, width: int, padding: int, cycle: int) -> None:
        self._kernels, self._dx, self._padding, self._cycle, self._width = kernels, dx, padding, cycle, width
        size, batch = kernels.size, dx.shape[3]
        ahead = size - 1 - padding  # rows of zeros above dy; if negative, unused rows of dy
        self._ahead, self._start = max(ahead, 0), max(-ahead, 0)
        rows = max(self._ahead + height, self._start + dx.shape[1] + size - 1)
        self._rows = aligned_zeros((rows, kernels.out_channels, cycle, -(-width // cycle), batch), dx.dtype)

    def output_gradient_rows(self, first: int, count: int) -> Array:
        """The buffer for rows of dy, (F, count, cycle, columns, N), to be filled before the calls of `finish`."""
        return self._rows[self._ahead + first : self._ahead + first + count].transpose(1, 0, 2, 3, 4)

    def finish(self) -> Calls:
        weights, calls = self._kernels.flipped()
        dx, inner = self._dx, self._rows.shape[2:]
        channels, height, _, _ = dx.shape
        row = dx.itemsize * len(weights) * int(np.prod(inner))
        winograd = is_winograd_faster(self._kernels)
        count = max(1, BAND_BYTES // row)
        count = min(height, -(-count // TILE_ROWS) * TILE_ROWS if winograd else count)
        terms = aligned_zeros((count, len(weights), int(np.prod(inner))), dx.dtype)
        rows = self._rows[self._start :]
        products = _WinogradProducts(weights, rows, count) if winograd else _DirectProducts(weights, rows)
        calls += products.prepare()
        for first in range(0, height, count):
            some = min(count, height - first)
            calls += products.fill(first, terms[:some])
            parts = terms[:some].reshape(some, self._kernels.size, channels, *inner).transpose(1, 2, 0, 3, 4, 5)
            calls += self._sum_columns(parts, dx[:, first : first + some])
        return calls

    def _sum_columns(self, terms: Array, dx: Array) -> Calls:
        """dx (C, rows, W, N) = the sum over kernel columns of terms (size, C, rows, cycle, columns, N), each
        shifted by its column."""
        cycle, width = self._cycle, dx.shape[2]
        calls: Calls = []
        unshifted = self._padding  # the kernel column with offset 0
        if self._width == width and unshifted < len(terms):
            sums = terms[unshifted]
        else:
            unshifted, shape = -1, (*dx.shape[:2], cycle, -(-width // cycle), dx.shape[3])
            sums = aligned_zeros(shape, dx.dtype)
            calls.append(plain_call(sums.fill, 0))
        for column, phase in ((column, phase) for column in range(len(terms)) for phase in range(cycle)):
            quotient, target_phase = divmod(phase + column - self._padding, cycle)
            windows = len(range(phase, self._width, cycle))
            along = valid_windows(quotient, 0, 1, windows, len(range(target_phase, width, cycle)))
            if column != unshifted and along is not None:
                target = sums[:, :, target_phase, along[1]]
                calls.append(call(np.add, target, terms[column, :, :, phase, along[0]], out=target))
        for phase in range(cycle):
            target = dx[:, :, phase::cycle]
            calls.append(plain_call(np.copyto, target, sums[:, :, phase, : target.shape[2]]))
        return calls


class _DirectProducts:
    """Weights (L, size, F) times rows of dy (rows, F, ...), of which each row of dx needs `size`."""

    def __init__(self, weights: Array, rows: Array) -> None:
        self._weights, self._rows = weights, rows

    def prepare(self) -> Calls:
        return []

    def fill(self, first: int, out: Array) -> Calls:
        """Calls that fill out (count, L, n) for the rows of dx from `first` on."""
        length, size, out_channels = self._weights.shape
        step, item = self._rows.strides[0], self._rows.itemsize
        shape, strides = (len(out), size * out_channels, out.shape[2]), (step, out.shape[2] * item, item)
        matrices = as_strided(self._rows[first:], shape, strides)
        return [blocked_matmul(self._weights.reshape(length, -1), matrices, out)]


class _WinogradProducts:
    """The same by Winograd's algorithm with half of the multiplications, for at most `max_rows` rows at a time."""

    def __init__(self, weights: Array, rows: Array, max_rows: int) -> None:
        length, _, out_channels = weights.shape
        self._filters, self._rows = weights, rows.reshape(len(rows), out_channels, -1)
        self._tiles, tiles, inner = WinogradTransform(rows.dtype), -(-max_rows // TILE_ROWS), self._rows.shape[2]
        self._weights = aligned_zeros((length, POINTS, out_channels), rows.dtype)
        self._values = aligned_zeros((tiles, POINTS, out_channels, inner), rows.dtype)
        self._sums = aligned_zeros((tiles, POINTS, length, inner), rows.dtype)

    def prepare(self) -> Calls:
        return self._tiles.transform_filters(self._filters, self._weights)

    def fill(self, first: int, out: Array) -> Calls:
        tiles = -(-len(out) // TILE_ROWS)
        values, sums = self._values[:tiles], self._sums[:tiles]
        return [
            *self._tiles.transform_input(self._rows[first:], len(out), values),
            call(np.matmul, self._weights.transpose(1, 0, 2), values, out=sums),
            *self._tiles.transform_output(sums, out),
        ]

"""FusedConvMaxPool: convolution and max pooling, some rows at a time, so that the maps in between stay in the
cache."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import numpy as np

from engine.backends.numpy.calls import aligned_full, aligned_zeros, call, plain_call
from engine.backends.numpy.convolution_by_rows import row_products
from engine.backends.numpy.convolution_gradient import InputGradient
from engine.backends.numpy.row_layout import KernelLayout
from engine.backends.ops import Array, Calls, ConvSpec

# Bytes of the maps in between that are computed at a time.
BAND_BYTES = 524_288


class FusedConvMaxPool:
    """The fused Ops.convolution_max_pool, for a convolution with stride 1 and pooling with stride = size.

    The columns of the maps in between are sorted by their position in a pooling window, and windows are padded with
    minus infinity at the edge. The bias is added after the maximum, which it does not change.
    """

    def __init__(
        self,
        x: Array,
        matrix: Array,
        y: Array,
        spec: ConvSpec,
        pool: int,
        needs_gradient: bool,
    ) -> None:
        self._y, self._padding, self._pool = y, spec.padding, pool
        size = spec.kernel_size
        self._kernels = KernelLayout(matrix, len(x), size, spec.normalizer)
        self._height, self._width = (
            min(padded - size + 1, pooled * pool) for padded, pooled in zip(x.shape[1:3], y.shape[1:3], strict=True)
        )
        self._products = row_products(x, self._kernels, self._height, self._width, 1, pool)
        self._bands = self._cut(needs_gradient)
        # One band of the maps in between, reused for their gradient.
        shape = (len(y), self._bands[0].count, pool, y.shape[2], y.shape[3])
        self._maps = aligned_zeros(shape, y.dtype)

    def forward(self) -> Calls:
        missing = self._y.shape[2] * self._pool - self._width
        calls, maps = self._products.prepare(), self._maps
        for band in self._bands:
            part = maps[:, : band.count]
            calls += self._products.forward(band.first, part)
            if missing:
                calls.append(plain_call(part[:, :, -missing:, -1].fill, -np.inf))
            calls += band.forward(part, self._y)
        return calls + self._kernels.add_bias(self._y)

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        gradient = None
        if dx is not None:
            gradient = InputGradient(self._kernels, dx, self._height, self._width, self._padding, self._pool)
        if dmatrix is not None:
            self._products.start_gradient()
        maps = self._maps
        calls: Calls = []
        for band in self._bands:
            part = (
                maps[:, : band.count] if gradient is None else gradient.output_gradient_rows(band.first, band.count)
            )
            calls += band.backward(dy, part)
            if dmatrix is not None:
                calls += self._products.add_gradient(band.first, part)
        if dmatrix is not None:
            calls += self._products.finish_gradient(dy, dmatrix)
        return calls if gradient is None else calls + gradient.finish()

    def _cut(self, needs_gradient: bool) -> list[PooledRowBand]:
        """Bands of equal size, except the last, in multiples of the rows that one product computes."""
        out_channels, height, columns, batch = self._y.shape
        row = self._y.itemsize * out_channels * self._pool**2 * columns * batch
        count = -(-height // max(1, BAND_BYTES // row))
        unit = self._products.tile_rows // gcd(self._products.tile_rows, self._pool)
        rows = -(-height // (count * unit)) * unit
        firsts, scratch = range(0, height, rows), dict[tuple[int, int], Array]()
        return [
            PooledRowBand(
                self._y, range(first, min(first + rows, height)), self._height, self._pool, needs_gradient, scratch
            )
            for first in firsts
        ]


class PooledRowBand:
    """Max pooling of the `count` rows of the maps in between from `first` on into some rows of y, (F, P, Q, N).

    For the gradient it stores a mask for each position in a window but the last: the values that equal the maximum,
    of which the first gets the gradient. scratch: arrays shared by bands of equal size.
    """

    def __init__(
        self,
        y: Array,
        rows: range,
        height: int,
        pool: int,
        needs_gradient: bool,
        scratch: dict[tuple[int, int], Array],
    ) -> None:
        self.first = rows.start * pool
        self.count = min(len(rows) * pool, height - self.first)
        self._rows, self._pool = slice(rows.start, rows.stop), pool
        out_channels, _, *inner = y.shape
        # Below the last row of the maps, windows are padded with minus infinity.
        shape = (out_channels, len(rows) * pool, *inner)
        across: Array = scratch.setdefault((len(rows), self.count), aligned_full(shape, -np.inf, y.dtype))
        self._across = across
        others = range(pool - 1 if needs_gradient else 0)
        self._masks_along = [aligned_zeros((out_channels, self.count, *inner), bool) for _ in others]
        self._masks_down = [aligned_zeros((out_channels, len(rows), *inner), bool) for _ in others]

    def forward(self, maps: Array, y: Array) -> Calls:
        """Calls that fill the band's rows of y from the maps (F, count, pool, Q, N)."""
        calls = _maximum(self._along(maps), self._across[:, : self.count], self._masks_along)
        return calls + _maximum(self._down(self._across), y[:, self._rows], self._masks_down)

    def backward(self, dy: Array, dmaps: Array) -> Calls:
        """Calls that fill the gradient of the maps from that of y."""
        whole = self.count == self._across.shape[1]
        dacross = self._across if whole else aligned_zeros(self._across.shape, dy.dtype)
        calls = _route(dy[:, self._rows], self._masks_down, self._down(dacross))
        return calls + _route(dacross[:, : self.count], self._masks_along, self._along(dmaps))

    def _along(self, maps: Array) -> list[Array]:
        """The values at each position in a window along a row."""
        return [maps[:, :, position] for position in range(self._pool)]

    def _down(self, across: Array) -> list[Array]:
        """The values at each position in a window down a column."""
        out_channels, rows, *inner = across.shape
        windows = across.reshape(out_channels, rows // self._pool, self._pool, *inner)
        return [windows[:, :, position] for position in range(self._pool)]


def _maximum(values: Sequence[Array], out: Array, masks: Sequence[Array]) -> Calls:
    """out = the elementwise maximum of `values`; masks: where each of them equals it."""
    first, second, *others = values
    calls = [call(np.maximum, first, second, out=out)]
    calls += [call(np.maximum, out, other, out=out) for other in others]
    return calls + [call(np.equal, value, out, out=mask) for value, mask in zip(values, masks, strict=False)]


def _route(dy: Array, masks: Sequence[Array], targets: Sequence[Array]) -> Calls:
    """Route every value of dy to the first target whose mask is set, or else to the last target."""
    *others, last = targets
    calls: Calls = []
    remaining = dy
    for mask, target in zip(masks, others, strict=True):
        calls.append(call(np.multiply, remaining, mask, out=target))
        calls.append(call(np.subtract, remaining, target, out=last))
        remaining = last
    return calls

"""PooledRows: a convolution and the max pool after it, some rows at a time, so that the maps in between never leave
the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import numpy as np

from engine.backends.numpy import calls as memory
from engine.backends.numpy.calls import call, run
from engine.backends.numpy.convolution_by_rows import row_products
from engine.backends.numpy.convolution_gradient import InputGradient
from engine.backends.numpy.row_layout import Features
from engine.backends.ops import Array, Calls

# Bytes of the maps in between that are worked on at once.
BAND_BYTES = 524_288


class PooledRows:
    """See Operations.convolution_max_pool; for windows of the pool that neither overlap nor leave gaps, and a
    convolution with stride 1.

    The columns of the maps in between are sorted by their place in the pool's windows; what a window lacks at the
    edge is minus infinity. The bias is added to the largest value, which is the largest with the bias.
    """

    def __init__(
        self, x: Array, matrix: Array, y: Array, size: int, margin: int, divisor: int, pool: int, learn: bool
    ) -> None:
        self._y, self._margin, self._pool = y, margin, pool
        self._features = Features(matrix, len(x), size, divisor)
        self._height, self._width = (
            min(padded - size + 1, pooled * pool) for padded, pooled in zip(x.shape[1:3], y.shape[1:3], strict=True)
        )
        self._products = row_products(x, self._features, self._height, self._width, 1, pool)
        self._bands = self._cut(learn)
        # A band of the maps in between, and later of their gradient.
        shape = (len(y), self._bands[0].count, pool, y.shape[2], y.shape[3])
        self._maps = memory.zeros(shape, y.dtype)

    def forward(self) -> Calls:
        """The calls that fill y."""
        missing = self._y.shape[2] * self._pool - self._width
        calls, maps = self._products.prepare(), self._maps
        for band in self._bands:
            part = maps[:, : band.count]
            calls += self._products.forward(band.first, part)
            if missing:
                calls.append(run(part[:, :, -missing:, -1].fill, -np.inf))
            calls += band.forward(part, self._y)
        return calls + self._features.add_bias(self._y)

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array | None) -> Calls:
        """The calls that fill dmatrix and dx from dy and the last forward pass."""
        gradient = None
        if dx is not None:
            gradient = InputGradient(self._features, dx, self._height, self._width, self._margin, self._pool)
        if dmatrix is not None:
            self._products.start()
        maps = self._maps
        calls: Calls = []
        for band in self._bands:
            part = maps[:, : band.count] if gradient is None else gradient.rows(band.first, band.count)
            calls += band.backward(dy, part)
            if dmatrix is not None:
                calls += self._products.backward(band.first, part)
        if dmatrix is not None:
            calls += self._products.finish(dy, dmatrix)
        return calls if gradient is None else calls + gradient.finish()

    def _cut(self, learn: bool) -> list[Band]:
        """Bands of equal size but for the last, of as many rows as can be multiplied at once."""
        features, height, columns, batch = self._y.shape
        row = self._y.itemsize * features * self._pool**2 * columns * batch
        count = -(-height // max(1, BAND_BYTES // row))
        least = self._products.tile // gcd(self._products.tile, self._pool)
        rows = -(-height // (count * least)) * least
        firsts, scratch = range(0, height, rows), dict[tuple[int, int], Array]()
        return [
            Band(self._y, range(first, min(first + rows, height)), self._height, self._pool, learn, scratch)
            for first in firsts
        ]


class Band:
    """Some rows of y, (F, P, Q, N): the largest of the `count` rows of the maps in between from `first` on.

    Of the maps in between remains which of their values won: for each place in a window but the last, a mask of
    those that equal the largest. Of several the first wins. scratch: memory that bands of equal size share.
    """

    def __init__(
        self, y: Array, rows: range, height: int, pool: int, learn: bool, scratch: dict[tuple[int, int], Array]
    ) -> None:
        self.first = rows.start * pool
        self.count = min(len(rows) * pool, height - self.first)
        self._rows, self._pool = slice(rows.start, rows.stop), pool
        features, _, *inner = y.shape
        # Below the last row of the maps, what is missing of a window is minus infinity.
        shape = (features, len(rows) * pool, *inner)
        across: Array = scratch.setdefault((len(rows), self.count), memory.full(shape, -np.inf, y.dtype))
        self._across = across
        others = range(pool - 1 if learn else 0)
        self._won_along = [memory.zeros((features, self.count, *inner), bool) for _ in others]
        self._won_down = [memory.zeros((features, len(rows), *inner), bool) for _ in others]

    def forward(self, maps: Array, y: Array) -> Calls:
        """The calls that fill the band's rows of y from the maps (F, count, pool, Q, N)."""
        calls = _largest(self._along(maps), self._across[:, : self.count], self._won_along)
        return calls + _largest(self._down(self._across), y[:, self._rows], self._won_down)

    def backward(self, dy: Array, dmaps: Array) -> Calls:
        """The calls that fill the gradient of the maps from that of y."""
        whole = self.count == self._across.shape[1]
        dacross = self._across if whole else memory.zeros(self._across.shape, dy.dtype)
        calls = _give(dy[:, self._rows], self._won_down, self._down(dacross))
        return calls + _give(dacross[:, : self.count], self._won_along, self._along(dmaps))

    def _along(self, maps: Array) -> list[Array]:
        """For each place in a window along a row, the values there."""
        return [maps[:, :, tap] for tap in range(self._pool)]

    def _down(self, across: Array) -> list[Array]:
        """For each place in a window down a column, the values there."""
        features, rows, *inner = across.shape
        windows = across.reshape(features, rows // self._pool, self._pool, *inner)
        return [windows[:, :, tap] for tap in range(self._pool)]


def _largest(taps: Sequence[Array], out: Array, won: Sequence[Array]) -> Calls:
    """out = the largest of all taps; won: which of them equal it."""
    first, second, *others = taps
    calls = [call(np.maximum, first, second, out=out)]
    calls += [call(np.maximum, out, other, out=out) for other in others]
    return calls + [call(np.equal, tap, out, out=mask) for tap, mask in zip(taps, won, strict=False)]


def _give(dy: Array, won: Sequence[Array], targets: Sequence[Array]) -> Calls:
    """Give every value of dy to the first target that won; what is given is no longer left for the last."""
    *others, last = targets
    calls: Calls = []
    left = dy
    for mask, target in zip(won, others, strict=True):
        calls.append(call(np.multiply, left, mask, out=target))
        calls.append(call(np.subtract, left, target, out=last))
        left = last
    return calls

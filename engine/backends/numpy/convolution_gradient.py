"""InputGradient: the gradient in the input of a convolution with stride 1."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.backends.numpy import calls as memory
from engine.backends.numpy.calls import call, run
from engine.backends.numpy.indexing import overlap
from engine.backends.numpy.row_layout import Features, product
from engine.backends.numpy.winograd import POINTS, ROWS, Tiles, saves_time
from engine.backends.ops import Array, Calls

# Bytes of products that are added up at once.
BAND_BYTES = 1_000_000


class InputGradient:
    """dx[c, u, v] = sum over f, a, b of w[f, c, a, b] * dy[f, u + margin - a, v + margin - b].

    The rows of dy lie one under the other, each as a matrix (F, columns * N), so the `size` rows that a row of dx
    reads are one matrix (size * F, columns * N), and no copy of them is made. One product gives, for every column b
    of a feature and channel, what dx has from it; these are added where they belong. The columns of dy may be
    sorted by their place modulo `cycle`, as windows are: see Strips.
    """

    def __init__(self, features: Features, dx: Array, height: int, width: int, margin: int, cycle: int) -> None:
        self._features, self._dx, self._margin, self._cycle, self._width = features, dx, margin, cycle, width
        size, batch = features.size, dx.shape[3]
        ahead = size - 1 - margin  # rows of zeros above dy, or if negative rows of dy that nothing reads
        self._ahead, self._start = max(ahead, 0), max(-ahead, 0)
        rows = max(self._ahead + height, self._start + dx.shape[1] + size - 1)
        self._rows = memory.zeros((rows, features.count, cycle, -(-width // cycle), batch), dx.dtype)

    def rows(self, first: int, count: int) -> Array:
        """Memory for rows of dy, (F, count, cycle, columns, N); to be filled before `finish`."""
        return self._rows[self._ahead + first : self._ahead + first + count].transpose(1, 0, 2, 3, 4)

    def finish(self) -> Calls:
        """The calls that fill dx."""
        weights, calls = self._features.turned()
        dx, inner = self._dx, self._rows.shape[2:]
        channels, height, _, _ = dx.shape
        row = dx.itemsize * len(weights) * int(np.prod(inner))
        saving = saves_time(self._features)
        count = max(1, BAND_BYTES // row)
        count = min(height, -(-count // ROWS) * ROWS if saving else count)
        found = memory.zeros((count, len(weights), int(np.prod(inner))), dx.dtype)
        rows = self._rows[self._start :]
        products = _WinogradProducts(weights, rows, count) if saving else _DirectProducts(weights, rows)
        calls += products.prepare()
        for first in range(0, height, count):
            some = min(count, height - first)
            calls += products.fill(first, found[:some])
            parts = found[:some].reshape(some, self._features.size, channels, *inner).transpose(1, 2, 0, 3, 4, 5)
            calls += self._add_up(parts, dx[:, first : first + some])
        return calls

    def _add_up(self, found: Array, dx: Array) -> Calls:
        """dx (C, rows, W, N) = the sum over a feature's columns of found (size, C, rows, cycle, columns, N), each
        moved by its column."""
        cycle, width = self._cycle, dx.shape[2]
        calls: Calls = []
        still = self._margin  # the column that is not moved
        if self._width == width and still < len(found):
            sums = found[still]
        else:
            still, shape = -1, (*dx.shape[:2], cycle, -(-width // cycle), dx.shape[3])
            sums = memory.zeros(shape, dx.dtype)
            calls.append(run(sums.fill, 0))
        for column, turn in ((column, turn) for column in range(len(found)) for turn in range(cycle)):
            quotient, place = divmod(turn + column - self._margin, cycle)
            windows = len(range(turn, self._width, cycle))
            along = overlap(quotient, 0, 1, windows, len(range(place, width, cycle)))
            if column != still and along is not None:
                target = sums[:, :, place, along[1]]
                calls.append(call(np.add, target, found[column, :, :, turn, along[0]], out=target))
        for turn in range(cycle):
            target = dx[:, :, turn::cycle]
            calls.append(run(np.copyto, target, sums[:, :, turn, : target.shape[2]]))
        return calls


class _DirectProducts:
    """Weights (L, size, F) times rows of dy (rows, F, ...): each row of dx reads `size` of them."""

    def __init__(self, weights: Array, rows: Array) -> None:
        self._weights, self._rows = weights, rows

    def prepare(self) -> Calls:
        """Nothing is to be laid out."""
        return []

    def fill(self, first: int, found: Array) -> Calls:
        """The calls that fill found (count, L, n) for the rows of dx from `first` on."""
        length, size, features = self._weights.shape
        step, item = self._rows.strides[0], self._rows.itemsize
        shape, strides = (len(found), size * features, found.shape[2]), (step, found.shape[2] * item, item)
        matrices = as_strided(self._rows[first:], shape, strides)
        return [product(self._weights.reshape(length, -1), matrices, found)]


class _WinogradProducts:
    """The same with half of the multiplies, for at most `most` rows at once; see winograd."""

    def __init__(self, weights: Array, rows: Array, most: int) -> None:
        length, _, features = weights.shape
        self._filters, self._rows = weights, rows.reshape(len(rows), features, -1)
        self._tiles, tiles, inner = Tiles(rows.dtype), -(-most // ROWS), self._rows.shape[2]
        self._weights = memory.zeros((length, POINTS, features), rows.dtype)
        self._values = memory.zeros((tiles, POINTS, features, inner), rows.dtype)
        self._sums = memory.zeros((tiles, POINTS, length, inner), rows.dtype)

    def prepare(self) -> Calls:
        """The calls that transform the weights."""
        return self._tiles.of_filters(self._filters, self._weights)

    def fill(self, first: int, found: Array) -> Calls:
        """The calls that fill found (count, L, n) for the rows of dx from `first` on."""
        tiles = -(-len(found) // ROWS)
        values, sums = self._values[:tiles], self._sums[:tiles]
        return [
            *self._tiles.of_values(self._rows[first:], len(found), values),
            call(np.matmul, self._weights.transpose(1, 0, 2), values, out=sums),
            *self._tiles.of_results(sums, found),
        ]

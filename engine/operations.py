"""Operations: the arithmetic every layer is written on, as calls prepared once and replayed. Not a layer.

An operation takes arrays that already exist and gives back the list of calls that, replayed, fill the output
array from the input arrays. Making it allocates whatever it needs; replaying allocates nothing.

Arrays lie batch-last: maps are (C, H, W, N), vectors (n, N). Every shifted window of a map is then a view whose
innermost run of W*N (or N) values is contiguous, so that windows, pools and gradients move at memory speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

Array: TypeAlias = Any
Call: TypeAlias = tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]
Calls: TypeAlias = list[Call]

# Below this many multiplies a product, OpenBLAS takes its small-matrix path, which is several times faster.
SMALL_PRODUCT = 1_000_000


def replay(calls: Iterable[Call]) -> None:
    """Make the prepared calls, in order."""
    for function, arguments, keywords in calls:
        function(*arguments, **keywords)


def call(function: Callable[..., object], *arguments: object, out: Array) -> Call:
    """One prepared call whose result goes to `out`."""
    return function, arguments, {"out": out}


@dataclass(frozen=True)
class Operations:
    """The operations on one array library `xp`. cache_blocks: cut products into blocks OpenBLAS is fast at."""

    xp: ModuleType
    cache_blocks: bool

    def copy(self, source: Array, target: Array) -> Calls:
        """target = source, whatever their strides."""
        return [(self.xp.copyto, (target, source), {})]

    def contiguous(self, source: Array) -> tuple[Array, Calls]:
        """`source` itself if its memory has no gaps, otherwise a buffer and the calls that copy into it."""
        if source.flags.c_contiguous:
            return source, []
        target = self.xp.empty(source.shape, source.dtype)
        return target, self.copy(source, target)

    def product(self, left: Array, right: Array, out: Array) -> Calls:
        """out = left @ right, for matrices (m, k) @ (k, n) or equally many of them."""
        return [call(self.xp.matmul, left, right, out=out)]

    def scale(self, source: Array, factor: float, out: Array) -> Calls:
        """out = source * factor."""
        return [call(self.xp.multiply, source, source.dtype.type(factor), out=out)]

    def relu(self, x: Array, y: Array) -> Calls:
        """y = max(x, 0)."""
        return [call(self.xp.maximum, x, x.dtype.type(0), out=y)]

    def relu_gradient(self, y: Array, dy: Array, dx: Array) -> Calls:
        """dx = dy where y > 0, else 0."""
        mask = self.xp.empty(y.shape, bool)
        return [
            call(self.xp.greater, y, y.dtype.type(0), out=mask),
            call(self.xp.multiply, dy, mask, out=dx),
        ]

    def softmax_cross_entropy(
        self, scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array
    ) -> Calls:
        """Votes (classes, N), loss (N,) and its gradient in the scores, for target shares (classes, N).

        votes = exp(s - max s) / sum; loss = -sum(t log votes); dscores = votes - t (t sums to one).
        log votes is taken as s - max s - log(sum exp), which stays finite.
        """
        xp = self.xp
        top = xp.empty(scores.shape[1:], scores.dtype)
        total = xp.empty_like(top)
        logs = xp.empty_like(votes)
        return [
            (xp.amax, (scores,), {"axis": 0, "out": top}),
            call(xp.subtract, scores, top, out=logs),
            call(xp.exp, logs, out=votes),
            (xp.sum, (votes,), {"axis": 0, "out": total}),
            call(xp.divide, votes, total, out=votes),
            call(xp.subtract, votes, targets, out=dscores),
            call(xp.log, total, out=total),
            call(xp.subtract, logs, total, out=logs),
            call(xp.multiply, logs, targets, out=logs),
            (xp.sum, (logs,), {"axis": 0, "out": loss}),
            call(xp.negative, loss, out=loss),
        ]

    def convolution(self, x: Array, matrix: Array, y: Array, size: int, stride: int, divisor: int) -> Convolution:
        """The sliding of features over the padded x; see Convolution."""
        return Convolution(self, x, matrix, y, size, stride, divisor)

    def max_pool(self, x: Array, y: Array, size: int, stride: int) -> MaxPool:
        """The maximum of each window; see MaxPool."""
        return MaxPool(self, x, y, size, stride)

    def blocks(self, matrix: Array, rows: int) -> Array:
        """(k, n) seen as (n / b, k, b), so that a product with `rows` multiplies a column is many small ones."""
        width = length = matrix.shape[1]
        while self.cache_blocks and width % 2 == 0 and width > 128 and rows * width > SMALL_PRODUCT // 2:
            width //= 2
        if rows * width > SMALL_PRODUCT:
            width = length
        down, along = matrix.strides
        strided = self.xp.lib.stride_tricks.as_strided
        return strided(matrix, (length // width, matrix.shape[0], width), (width * along, down, along))


class Convolution:
    """y[f] = (sum over the window of feature f x window) / divisor + bias, as one product with all windows.

    x: (C, H, W, N), already padded. matrix: (F, C*size*size [+ 1]), the features as rows, the bias last if there
    is one. y: (F, H', W', N). The windows are copied into columns; the bias meets a row of `divisor`s in them, so
    that dividing the whole product by `divisor` leaves the bias as it is.
    """

    def __init__(
        self, ops: Operations, x: Array, matrix: Array, y: Array, size: int, stride: int, divisor: int
    ) -> None:
        channels, _, _, batch = x.shape
        features, height, width, _ = y.shape
        window = (channels, size, size, height, width, batch)
        self._ops, self._size, self._stride, self._divisor = ops, size, stride, divisor
        self._matrix, self._y, self._taps = matrix, y, channels * size * size
        self._window_shape = window
        plane, row, pixel, image = x.strides
        self._windows = ops.xp.lib.stride_tricks.as_strided(
            x, window, (plane, row, pixel, row * stride, pixel * stride, image)
        )
        self._columns = ops.xp.full((matrix.shape[1], height * width * batch), divisor, x.dtype)
        self._rows = features * matrix.shape[1]
        self._column_blocks = ops.blocks(self._columns, self._rows)

    def forward(self) -> Calls:
        """The calls that fill y."""
        ops, y = self._ops, self._y
        flat = y if y.flags.c_contiguous else ops.xp.empty(y.shape, y.dtype)
        calls = ops.copy(self._windows, self._columns[: self._taps].reshape(self._window_shape))
        calls += ops.product(self._matrix, self._column_blocks, self._blocks_of(flat))
        if self._divisor != 1:
            calls += ops.scale(flat, 1 / self._divisor, flat)
        return calls + (ops.copy(flat, y) if flat is not y else [])

    def backward(self, dy: Array, dx: Array | None, dmatrix: Array) -> Calls:
        """The calls that fill dmatrix and, unless it is None, the padded dx from dy and the last forward pass."""
        ops = self._ops
        flat, calls = ops.contiguous(dy)
        if self._divisor != 1:
            scaled = ops.xp.empty(dy.shape, dy.dtype)
            calls += ops.scale(flat, 1 / self._divisor, scaled)
            flat = scaled
        blocks = self._blocks_of(flat)
        parts = ops.xp.empty((len(blocks), *self._matrix.shape), dy.dtype)
        calls += ops.product(blocks, self._column_blocks.transpose(0, 2, 1), parts)
        calls.append((ops.xp.sum, (parts,), {"axis": 0, "out": dmatrix}))
        return calls if dx is None else calls + self._input_gradient(blocks, dx)

    def _input_gradient(self, blocks: Array, dx: Array) -> Calls:
        """dx: every pixel gathers, over all windows it stood in, weight x gradient of that window's cell."""
        ops, stride = self._ops, self._stride
        columns = ops.xp.empty((self._taps, self._columns.shape[1]), dx.dtype)
        weights = self._matrix[:, : self._taps].T
        calls = ops.product(weights, blocks, ops.blocks(columns, self._rows))
        calls.append((dx.fill, (0,), {}))
        taps = columns.reshape(self._window_shape)
        _, _, _, height, width, _ = self._window_shape
        for row in range(self._size):
            for column in range(self._size):
                seen = dx[
                    :,
                    row : row + stride * (height - 1) + 1 : stride,
                    column : column + stride * (width - 1) + 1 : stride,
                ]
                calls.append(call(ops.xp.add, seen, taps[:, row, column], out=seen))
        return calls

    def _blocks_of(self, maps: Array) -> Array:
        return self._ops.blocks(maps.reshape(maps.shape[0], -1), self._rows)


class MaxPool:
    """y = the largest value of each window, found along the rows first and then down the columns.

    x: (C, H, W, N), y: (C, H', W', N). Windows that hang over the right or bottom edge use what is there. In the
    gradient the winner takes all; of equal values the first in row order wins, which is what going down the
    columns last amounts to.
    """

    def __init__(self, ops: Operations, x: Array, y: Array, size: int, stride: int) -> None:
        self._ops, self._x, self._y, self._size, self._stride = ops, x, y, size, stride
        self._across = ops.xp.empty((*x.shape[:2], y.shape[2], x.shape[3]), x.dtype)

    def forward(self) -> Calls:
        """The calls that fill y."""
        return self._largest(self._x, self._across, 2) + self._largest(self._across, self._y, 1)

    def backward(self, dy: Array, dx: Array) -> Calls:
        """The calls that fill dx, which must hold zeros where no window reads."""
        dacross = self._ops.xp.zeros(self._across.shape, self._across.dtype)
        return self._winner(self._across, self._y, dy, dacross, 1) + self._winner(
            self._x, self._across, dacross, dx, 2
        )

    def _taps(self, x: Array, out: Array, axis: int) -> list[tuple[Array, tuple[slice, ...]]]:
        """For each place in the window: the values of x there, and the part of `out` whose windows have it."""
        taps = []
        for tap in range(self._size):
            count = min(out.shape[axis], -(-(x.shape[axis] - tap) // self._stride))
            if count > 0:
                ahead = (slice(None),) * axis
                seen = slice(tap, tap + (count - 1) * self._stride + 1, self._stride)
                taps.append((x[(*ahead, seen)], (*ahead, slice(count))))
        return taps

    def _largest(self, x: Array, out: Array, axis: int) -> Calls:
        (first, _), *others = self._taps(x, out, axis)
        if others and others[0][0].shape == out.shape:
            calls = [call(self._ops.xp.maximum, first, others.pop(0)[0], out=out)]
        else:
            calls = self._ops.copy(first, out)
        for values, part in others:
            calls.append(call(self._ops.xp.maximum, out[part], values, out=out[part]))
        return calls

    def _winner(self, x: Array, out: Array, dout: Array, dx: Array, axis: int) -> Calls:
        """Give each value of dout to the first tap that equals the maximum: what is given is no longer left."""
        xp, overlap = self._ops.xp, self._size > self._stride
        rest, share = xp.empty(dout.shape, dout.dtype), xp.empty(dout.shape, dout.dtype)
        mask = xp.empty(dout.shape, bool)
        calls: Calls = [(dx.fill, (0,), {})] if overlap else []
        left = dout
        targets = [target for target, _ in self._taps(dx, out, axis)]
        for place, (values, part) in enumerate(self._taps(x, out, axis)):
            given = share[part] if overlap else targets[place]
            calls.append(call(xp.equal, values, out[part], out=mask[part]))
            calls.append(call(xp.multiply, left[part], mask[part], out=given))
            if overlap:
                calls.append(call(xp.add, targets[place], given, out=targets[place]))
            elif place + 2 == len(targets) and targets[-1].shape == out.shape:
                # The last tap of windows that do not overlap takes whatever is left: no need to compare.
                return [*calls, call(xp.subtract, left, given, out=targets[-1])]
            calls.append(call(xp.subtract, left[part], given, out=rest[part]))
            left = rest
        return calls

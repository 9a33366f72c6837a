"""Max pool on NumPy: the largest value is found along one axis first and then along the other."""

from __future__ import annotations

import numpy as np

from engine.backends.numpy import calls as memory
from engine.backends.numpy.calls import call, run
from engine.backends.numpy.indexing import blocks_along, gather, gathers, places, taps
from engine.backends.ops import Array, Calls


class MaxPool:
    """See Operations.max_pool. Going down the columns last is what makes the first in row order win a tie.

    The largest itself is the same either way, and of a single example, whose rows can be read at memory speed but
    whose columns cannot, found the other way round; a gradient, rarely asked for there, begins with the rows again.
    """

    def __init__(self, x: Array, y: Array, size: int, stride: int) -> None:
        self._x, self._y, self._size, self._stride = x, y, size, stride
        self._across = memory.zeros((*x.shape[:2], y.shape[2], x.shape[3]), x.dtype)
        self._down_first = x.shape[3] == 1

    def forward(self) -> Calls:
        """The calls that fill y."""
        if not self._down_first:
            return self._largest(self._x, self._across, 2) + self._largest(self._across, self._y, 1)
        if gathers(self._x, 1, self._size**2 * self._y.size) and self._y.flags.c_contiguous:
            return self._folded()
        channels, _, width, batch = self._x.shape
        down = memory.zeros((channels, self._y.shape[1], width, batch), self._x.dtype)
        return self._largest(self._x, down, 1) + self._largest(down, self._y, 2)

    def _folded(self) -> Calls:
        """Each window's values one under the other, and the larger of one half and the other until one is left."""
        lying, last = self._lying(), self._y.reshape(1, -1)
        values = last if len(lying) == 1 else memory.zeros(lying.shape, self._x.dtype)
        calls = [gather(self._x, lying, values)]
        while (count := len(values)) > 1:
            if count % 2:
                calls.append(call(np.maximum, values[0], values[-1], out=values[0]))
            half = count // 2
            upper, lower = values[:half].reshape(-1), values[half : 2 * half].reshape(-1)
            values = last if count < 4 else values[:half]
            calls.append(call(np.maximum, upper, lower, out=values.reshape(-1)))
        return calls

    def _lying(self) -> Array:
        """Where the values of all windows lie: (size * size, values of y); where a window hangs over the end, the
        last line of its own once more, which changes no maximum."""
        where = places(self._x)
        down, along = (
            [np.minimum(np.arange(self._y.shape[axis]) * self._stride + tap, self._x.shape[axis] - 1)
             for tap in range(self._size)]
            for axis in (1, 2)
        )  # fmt: skip
        return np.stack([where[:, lines][:, :, columns].reshape(-1) for lines in down for columns in along])

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        """The calls that fill dx."""
        if dx is None:
            return []
        dacross = memory.zeros(self._across.shape, self._across.dtype)
        winner = self._winner if self._size <= self._stride else self._winner_of_many
        again = self._largest(self._x, self._across, 2) if self._down_first else []
        return again + winner(self._across, self._y, dy, dacross, 1) + winner(self._x, self._across, dacross, dx, 2)

    def _taps(self, x: Array, out: Array, axis: int) -> list[tuple[Array, tuple[slice, ...]]]:
        return taps(x, out.shape[axis], axis, self._size, self._stride)

    def _largest(self, x: Array, out: Array, axis: int) -> Calls:
        (first, _), *others = self._taps(x, out, axis)
        if others and others[0][0].shape == out.shape:
            calls = [call(np.maximum, first, others.pop(0)[0], out=out)]
        else:
            calls = [run(np.copyto, out, first)]
        for values, part in others:
            calls.append(call(np.maximum, out[part], values, out=out[part]))
        return calls

    def _winner(self, x: Array, out: Array, dout: Array, dx: Array, axis: int) -> Calls:
        """Give each value of dout to the first tap that equals the maximum: what is given is no longer left."""
        rest = memory.zeros(dout.shape, dout.dtype)
        mask = memory.zeros(dout.shape, bool)
        calls: Calls = []
        left = dout
        targets = [target for target, _ in self._taps(dx, out, axis)]
        for place, (values, part) in enumerate(self._taps(x, out, axis)):
            calls.append(call(np.equal, values, out[part], out=mask[part]))
            calls.append(call(np.multiply, left[part], mask[part], out=targets[place]))
            if place + 2 == len(targets) and targets[-1].shape == out.shape:
                # The last tap takes whatever is left: no need to compare.
                return [*calls, call(np.subtract, left, targets[place], out=targets[-1])]
            calls.append(call(np.subtract, left[part], targets[place], out=rest[part]))
            left = rest
        return calls

    def _winner_of_many(self, x: Array, out: Array, dout: Array, dx: Array, axis: int) -> Calls:
        """The same where windows overlap and there are many taps: some of the maps at a time, so that they stay in
        the cache, and masks remember which windows have their winner."""
        calls: Calls = []
        scratch: dict[tuple[int, ...], tuple[Array, Array, Array]] = {}
        for block in blocks_along(out, axis):
            shape = out[block].shape
            if shape not in scratch:
                scratch[shape] = (
                    memory.zeros(shape, bool),
                    memory.zeros(shape, bool),
                    memory.zeros(shape, dout.dtype),
                )
            calls += self._winners(x[block], out[block], dout[block], dx[block], axis, *scratch[shape])
        return calls

    def _winners(
        self, x: Array, out: Array, dout: Array, dx: Array, axis: int, done: Array, won: Array, share: Array
    ) -> Calls:
        targets = [target for target, _ in self._taps(dx, out, axis)]
        # The first `stride` taps write what they give, the others add to it; beyond them nobody has written yet.
        beyond = (slice(None),) * axis + (slice(out.shape[axis] * self._stride, None),)
        calls: Calls = [run(dx[beyond].fill, 0)]
        for place, (values, part) in enumerate(self._taps(x, out, axis)):
            winners = won[part] if place else done
            calls.append(call(np.equal, values, out[part], out=winners))
            if place:
                calls.append(call(np.greater, winners, done[part], out=winners))
                calls.append(call(np.logical_or, done[part], winners, out=done[part]))
            if place < self._stride:
                calls.append(call(np.multiply, dout[part], winners, out=targets[place]))
            else:
                calls.append(call(np.multiply, dout[part], winners, out=share[part]))
                calls.append(call(np.add, targets[place], share[part], out=targets[place]))
        return calls


class AveragePool:
    """See Operations.average_pool: the taps of all windows are added up, along the rows and then down the columns,
    and divided by how many there are."""

    def __init__(self, x: Array, y: Array, size: int, stride: int) -> None:
        self._x, self._y, self._size, self._stride = x, y, size, stride
        self._across = memory.zeros((*x.shape[:2], y.shape[2], x.shape[3]), x.dtype)
        high, wide = (self._counts(x.shape[axis], y.shape[axis]) for axis in (1, 2))
        self._share = (1 / np.outer(high, wide)).astype(x.dtype)[:, :, None]

    def forward(self) -> Calls:
        """The calls that fill y."""
        calls = self._sum(self._x, self._across, 2) + self._sum(self._across, self._y, 1)
        return [*calls, call(np.multiply, self._y, self._share, out=self._y)]

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        """The calls that fill dx."""
        if dx is None:
            return []
        share, dacross = memory.zeros(dy.shape, dy.dtype), memory.zeros(self._across.shape, dy.dtype)
        calls = [call(np.multiply, dy, self._share, out=share)]
        return calls + self._spread(share, dacross, 1) + self._spread(dacross, dx, 2)

    def _counts(self, length: int, windows: int) -> Array:
        starts = np.arange(windows) * self._stride
        return np.minimum(starts + self._size, length) - starts

    def _sum(self, x: Array, out: Array, axis: int) -> Calls:
        (first, _), *others = taps(x, out.shape[axis], axis, self._size, self._stride)
        calls: Calls = [run(np.copyto, out, first)]
        return calls + [call(np.add, out[part], values, out=out[part]) for values, part in others]

    def _spread(self, dout: Array, dx: Array, axis: int) -> Calls:
        calls: Calls = [run(dx.fill, 0)]
        for target, part in taps(dx, dout.shape[axis], axis, self._size, self._stride):
            calls.append(call(np.add, target, dout[part], out=target))
        return calls


class GlobalAverage:
    """See Operations.global_average."""

    def __init__(self, x: Array, y: Array) -> None:
        self._x, self._y = x, y

    def forward(self) -> Calls:
        """The calls that fill y."""
        return [run(np.mean, self._x, axis=(1, 2), out=self._y)]

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        """The calls that fill dx."""
        if dx is None:
            return []
        share = dy.dtype.type(1 / (self._x.shape[1] * self._x.shape[2]))
        return [call(np.multiply, dy[:, None, None], share, out=dx)]

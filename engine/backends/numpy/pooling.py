"""Max, average and global average pooling on NumPy; windows are reduced along one axis, then along the other."""

from __future__ import annotations

import numpy as np

from engine.backends.numpy.calls import aligned_zeros, call, plain_call
from engine.backends.numpy.indexing import cache_blocks, flat_indices, is_take_faster, take, window_views
from engine.backends.ops import Array, Calls, PoolSpec


class NumpyMaxPool:
    """Max pooling; see Ops.max_pool. Reducing columns last routes the gradient of a tie to the first value in
    row-major order.

    The maximum itself does not depend on the order. For a single example, whose rows can be read at memory speed
    but whose columns cannot, columns are reduced first; its gradient, rarely needed, starts with the rows again.
    """

    def __init__(self, x: Array, y: Array, spec: PoolSpec) -> None:
        self._x, self._y, self._size, self._stride = x, y, spec.size, spec.stride
        self._across = aligned_zeros((*x.shape[:2], y.shape[2], x.shape[3]), x.dtype)
        self._down_first = x.shape[3] == 1

    def forward(self) -> Calls:
        if not self._down_first:
            return self._maximum(self._x, self._across, 2) + self._maximum(self._across, self._y, 1)
        if is_take_faster(self._x, 1, self._size**2 * self._y.size) and self._y.flags.c_contiguous:
            return self._halved()
        channels, _, width, batch = self._x.shape
        down = aligned_zeros((channels, self._y.shape[1], width, batch), self._x.dtype)
        return self._maximum(self._x, down, 1) + self._maximum(down, self._y, 2)

    def _halved(self) -> Calls:
        """Window values as rows, reduced by the maximum of two halves until one row is left."""
        indices, last = self._indices(), self._y.reshape(1, -1)
        values = last if len(indices) == 1 else aligned_zeros(indices.shape, self._x.dtype)
        calls = [take(self._x, indices, values)]
        while (count := len(values)) > 1:
            if count % 2:
                calls.append(call(np.maximum, values[0], values[-1], out=values[0]))
            half = count // 2
            upper, lower = values[:half].reshape(-1), values[half : 2 * half].reshape(-1)
            values = last if count < 4 else values[:half]
            calls.append(call(np.maximum, upper, lower, out=values.reshape(-1)))
        return calls

    def _indices(self) -> Array:
        """The flat indices of all window values, (size * size, values of y). A window past the edge repeats its
        last row or column, which does not change the maximum."""
        flat = flat_indices(self._x)
        down, along = (
            [np.minimum(np.arange(self._y.shape[axis]) * self._stride + position, self._x.shape[axis] - 1)
             for position in range(self._size)]
            for axis in (1, 2)
        )  # fmt: skip
        return np.stack([flat[:, lines][:, :, columns].reshape(-1) for lines in down for columns in along])

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        if dx is None:
            return []
        dacross = aligned_zeros(self._across.shape, self._across.dtype)
        route = self._route if self._size <= self._stride else self._route_overlapping
        calls = self._maximum(self._x, self._across, 2) if self._down_first else []
        return calls + route(self._across, self._y, dy, dacross, 1) + route(self._x, self._across, dacross, dx, 2)

    def _views(self, x: Array, out: Array, axis: int) -> list[tuple[Array, tuple[slice, ...]]]:
        return window_views(x, out.shape[axis], axis, self._size, self._stride)

    def _maximum(self, x: Array, out: Array, axis: int) -> Calls:
        (first, _), *others = self._views(x, out, axis)
        if others and others[0][0].shape == out.shape:
            calls = [call(np.maximum, first, others.pop(0)[0], out=out)]
        else:
            calls = [plain_call(np.copyto, out, first)]
        for values, part in others:
            calls.append(call(np.maximum, out[part], values, out=out[part]))
        return calls

    def _route(self, x: Array, out: Array, dout: Array, dx: Array, axis: int) -> Calls:
        """Route each value of dout to the first window position that equals the maximum."""
        rest = aligned_zeros(dout.shape, dout.dtype)
        mask = aligned_zeros(dout.shape, bool)
        calls: Calls = []
        remaining = dout
        targets = [target for target, _ in self._views(dx, out, axis)]
        for place, (values, part) in enumerate(self._views(x, out, axis)):
            calls.append(call(np.equal, values, out[part], out=mask[part]))
            calls.append(call(np.multiply, remaining[part], mask[part], out=targets[place]))
            if place + 2 == len(targets) and targets[-1].shape == out.shape:
                # The rest belongs to the last position: no comparison needed.
                return [*calls, call(np.subtract, remaining, targets[place], out=targets[-1])]
            calls.append(call(np.subtract, remaining[part], targets[place], out=rest[part]))
            remaining = rest
        return calls

    def _route_overlapping(self, x: Array, out: Array, dout: Array, dx: Array, axis: int) -> Calls:
        """The same for overlapping windows, block by block to stay in the cache; masks mark windows already
        routed."""
        calls: Calls = []
        scratch: dict[tuple[int, ...], tuple[Array, Array, Array]] = {}
        for block in cache_blocks(out, axis):
            shape = out[block].shape
            if shape not in scratch:
                scratch[shape] = (
                    aligned_zeros(shape, bool),
                    aligned_zeros(shape, bool),
                    aligned_zeros(shape, dout.dtype),
                )
            calls += self._route_block(x[block], out[block], dout[block], dx[block], axis, *scratch[shape])
        return calls

    def _route_block(
        self, x: Array, out: Array, dout: Array, dx: Array, axis: int, done: Array, mask: Array, share: Array
    ) -> Calls:
        targets = [target for target, _ in self._views(dx, out, axis)]
        # The first `stride` positions write, the others add; dx beyond the windows is set to 0 here.
        beyond = (slice(None),) * axis + (slice(out.shape[axis] * self._stride, None),)
        calls: Calls = [plain_call(dx[beyond].fill, 0)]
        for place, (values, part) in enumerate(self._views(x, out, axis)):
            is_max = mask[part] if place else done
            calls.append(call(np.equal, values, out[part], out=is_max))
            if place:
                calls.append(call(np.greater, is_max, done[part], out=is_max))
                calls.append(call(np.logical_or, done[part], is_max, out=done[part]))
            if place < self._stride:
                calls.append(call(np.multiply, dout[part], is_max, out=targets[place]))
            else:
                calls.append(call(np.multiply, dout[part], is_max, out=share[part]))
                calls.append(call(np.add, targets[place], share[part], out=targets[place]))
        return calls


class NumpyAveragePool:
    """Average pooling; see Ops.average_pool. Windows are summed along rows, then columns, and divided by their
    number of values."""

    def __init__(self, x: Array, y: Array, spec: PoolSpec) -> None:
        self._x, self._y, self._size, self._stride = x, y, spec.size, spec.stride
        self._across = aligned_zeros((*x.shape[:2], y.shape[2], x.shape[3]), x.dtype)
        rows, columns = (self._counts(x.shape[axis], y.shape[axis]) for axis in (1, 2))
        self._share = (1 / np.outer(rows, columns)).astype(x.dtype)[:, :, None]

    def forward(self) -> Calls:
        calls = self._sum(self._x, self._across, 2) + self._sum(self._across, self._y, 1)
        return [*calls, call(np.multiply, self._y, self._share, out=self._y)]

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        if dx is None:
            return []
        share, dacross = aligned_zeros(dy.shape, dy.dtype), aligned_zeros(self._across.shape, dy.dtype)
        calls = [call(np.multiply, dy, self._share, out=share)]
        return calls + self._spread(share, dacross, 1) + self._spread(dacross, dx, 2)

    def _counts(self, length: int, windows: int) -> Array:
        starts = np.arange(windows) * self._stride
        return np.minimum(starts + self._size, length) - starts

    def _sum(self, x: Array, out: Array, axis: int) -> Calls:
        (first, _), *others = window_views(x, out.shape[axis], axis, self._size, self._stride)
        calls: Calls = [plain_call(np.copyto, out, first)]
        return calls + [call(np.add, out[part], values, out=out[part]) for values, part in others]

    def _spread(self, dout: Array, dx: Array, axis: int) -> Calls:
        calls: Calls = [plain_call(dx.fill, 0)]
        for target, part in window_views(dx, dout.shape[axis], axis, self._size, self._stride):
            calls.append(call(np.add, target, dout[part], out=target))
        return calls


class NumpyGlobalAveragePool:
    def __init__(self, x: Array, y: Array) -> None:
        self._x, self._y = x, y

    def forward(self) -> Calls:
        return [plain_call(np.mean, self._x, axis=(1, 2), out=self._y)]

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        if dx is None:
            return []
        share = dy.dtype.type(1 / (self._x.shape[1] * self._x.shape[2]))
        return [call(np.multiply, dy[:, None, None], share, out=dx)]

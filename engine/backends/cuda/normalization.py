"""Batch normalization on a GPU: each block reduces a slice of a channel; slices are combined in a fixed order."""

from __future__ import annotations

import math
from collections.abc import Iterable

from engine.backends.cuda.arguments import Parameter, divisor, nothing, number, reads, whole, writes
from engine.backends.cuda.arrays import View
from engine.backends.cuda.launch import Blocks, Kernels
from engine.backends.cuda.pointwise import calls_of
from engine.backends.cuda.tiling import real
from engine.backends.ops import Array, Calls

# The fewest values of a channel for a block, and the most blocks for a channel.
MIN_SLICE = 1024
MAX_SLICES = 64
THREADS = 256


class BatchNorm:
    def __init__(
        self,
        kernels: Kernels,
        x: Array,
        parameters: Array,
        buffers: Array,
        y: Array,
        epsilon: float,
        training: bool,
    ) -> None:
        self._kernels, self._training, self._epsilon = kernels, training, x.dtype.type(epsilon)
        self._channels, self._count = len(x), math.prod(x.shape[1:])
        slices = max(1, min(MAX_SLICES, self._count // MIN_SLICE))
        self._slice_size = -(-self._count // slices)
        self._slices = -(-self._count // self._slice_size)
        zeros, view, channels = kernels.device.zeros, kernels.view, self._channels
        self._x, self._y, self._affine, self._buffers = (view(array) for array in (x, y, parameters, buffers))
        self._mean, self._variance, self._scale = (view(zeros((channels,), x.dtype)) for _ in range(3))
        self._parts = view(zeros((channels, self._slices, 2), x.dtype))
        self._sums = view(zeros((2, channels), x.dtype))

    def forward(self) -> Calls:
        calls = self._batch_statistics() if self._training else self._running_statistics()
        parameters = [
            *(*reads(self._x, strided=True), *_broadcast(self._mean, self._scale, self._affine)),
            *(*writes(self._y, strided=True), *whole(self._channels), *divisor(self._count)),
        ]
        return calls + calls_of(self._kernels, "normalize", self._y.size, parameters)

    def backward(self, dy: Array, dx: Array | None, dparameters: Array | None) -> Calls:
        if dx is None and dparameters is None:
            return []
        gradient = self._kernels.view(dy)
        calls = self._reduce(gradient) + self._gradients(dparameters)
        if dx is None:
            return calls
        target, factor = self._kernels.view(dx), dy.dtype.type(1 / self._count if self._training else 0)
        parameters = [
            *(*reads(self._x, strided=True), *_broadcast(self._mean, self._scale, self._affine, self._sums)),
            *(*reads(gradient, strided=True), *writes(target, strided=True)),
            *(*whole(self._channels), *divisor(self._count), *number(factor)),
        ]
        return calls + calls_of(self._kernels, "normalize_gradient", target.size, parameters)

    def settle(self, buffers: Array, momentum: float) -> Calls:
        correction = buffers.dtype.type(self._count / max(self._count - 1, 1))
        parameters = [
            *(*reads(self._mean), *reads(self._variance), *writes(self._kernels.view(buffers), random_access=True)),
            *(*whole(self._channels), *number(buffers.dtype.type(momentum)), *number(correction)),
        ]
        return calls_of(self._kernels, "update_running_statistics", self._channels, parameters)

    def _reduce(self, gradient: View | None) -> Calls:
        """Statistics of each channel's slices: mean and squared deviations of x, or the sums for the gradient."""
        backward = gradient is not None
        parameters = [
            *reads(self._x, strided=True, random_access=True),
            *reads(self._x if gradient is None else gradient, strided=True, random_access=True),
            *(
                _broadcast(self._mean, self._scale)
                if backward
                else (*nothing(self._x.dtype), *nothing(self._x.dtype))
            ),
            *writes(self._parts, random_access=True),
            *whole(self._count, self._slice_size),
        ]
        options, grid = (real(self._x.dtype), f"-DBACKWARD={int(backward)}"), (self._slices, self._channels)
        return [(Blocks(self._kernels, "batch_statistics", options, grid, (THREADS,), tuple(parameters)), (), {})]

    def _batch_statistics(self) -> Calls:
        parameters = [
            *reads(self._parts, random_access=True),
            *(given for view in (self._mean, self._variance, self._scale) for given in writes(view)),
            *(*whole(self._slices, self._slice_size, self._count), *number(self._epsilon)),
        ]
        return self._reduce(None) + calls_of(self._kernels, "combine_statistics", self._channels, parameters)

    def _running_statistics(self) -> Calls:
        parameters = [
            *(*reads(self._buffers, random_access=True), *writes(self._mean), *writes(self._scale)),
            *(*whole(self._channels), *number(self._epsilon)),
        ]
        return calls_of(self._kernels, "load_running_statistics", self._channels, parameters)

    def _gradients(self, dparameters: Array | None) -> Calls:
        dtype = self._sums.dtype
        parameters = [
            *(*reads(self._parts, random_access=True), *writes(self._sums, random_access=True)),
            *(
                nothing(dtype)
                if dparameters is None
                else writes(self._kernels.view(dparameters), random_access=True)
            ),
            *whole(self._channels, self._slices),
        ]
        return calls_of(self._kernels, "combine_gradients", self._channels, parameters)


def _broadcast(*views: View) -> Iterable[Parameter]:
    return (given for view in views for given in reads(view, random_access=True))

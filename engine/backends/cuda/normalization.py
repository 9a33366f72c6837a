"""Batch normalization on a GPU: each block reduces a slice of a channel; slices are combined in a fixed order."""

from __future__ import annotations

import math
from collections.abc import Iterable

from engine.backends.cuda.arguments import (
    KernelParameter,
    fast_divisor,
    ints,
    null_pointer,
    reads,
    real_option,
    scalar,
    writes,
)
from engine.backends.cuda.arrays import ArrayView
from engine.backends.cuda.launch import BlockLaunch, KernelCache
from engine.backends.cuda.pointwise import elementwise_calls
from engine.backends.ops import Array, Calls

# The fewest values of a channel for a block, and the most blocks for a channel.
MIN_SLICE = 1024
MAX_SLICES = 64
THREADS = 256


class CudaBatchNorm:
    def __init__(
        self,
        kernels: KernelCache,
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
            *(*writes(self._y, strided=True), *ints(self._channels), *fast_divisor(self._count)),
        ]
        return calls + elementwise_calls(self._kernels, "normalize", self._y.size, parameters)

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
            *(*ints(self._channels), *fast_divisor(self._count), *scalar(factor)),
        ]
        return calls + elementwise_calls(self._kernels, "normalize_gradient", target.size, parameters)

    def update_running_statistics(self, buffers: Array, momentum: float) -> Calls:
        number = buffers.dtype.type
        shares = number(1 - momentum), number(momentum), number(self._count / max(self._count - 1, 1))
        parameters = [
            *(*reads(self._mean), *reads(self._variance), *writes(self._kernels.view(buffers), random_access=True)),
            *(*ints(self._channels), *(given for share in shares for given in scalar(share))),
        ]
        return elementwise_calls(self._kernels, "update_running_statistics", self._channels, parameters)

    def _reduce(self, gradient: ArrayView | None) -> Calls:
        """Statistics of each channel's slices: mean and squared deviations of x, or the sums for the gradient."""
        backward = gradient is not None
        parameters = [
            *reads(self._x, strided=True, random_access=True),
            *reads(self._x if gradient is None else gradient, strided=True, random_access=True),
            *(
                _broadcast(self._mean, self._scale)
                if backward
                else (*null_pointer(self._x.dtype), *null_pointer(self._x.dtype))
            ),
            *writes(self._parts, random_access=True),
            *ints(self._count, self._slice_size),
        ]
        options, grid = (real_option(self._x.dtype), f"-DBACKWARD={int(backward)}"), (self._channels, self._slices)
        return [
            (BlockLaunch(self._kernels, "batch_statistics", options, grid, (THREADS,), tuple(parameters)), (), {})
        ]

    def _batch_statistics(self) -> Calls:
        parameters = [
            *reads(self._parts, random_access=True),
            *(given for view in (self._mean, self._variance, self._scale) for given in writes(view)),
            *(*ints(self._slices, self._slice_size, self._count), *scalar(self._epsilon)),
        ]
        return self._reduce(None) + elementwise_calls(
            self._kernels, "combine_statistics", self._channels, parameters
        )

    def _running_statistics(self) -> Calls:
        parameters = [
            *(*reads(self._buffers, random_access=True), *writes(self._mean), *writes(self._scale)),
            *(*ints(self._channels), *scalar(self._epsilon)),
        ]
        return elementwise_calls(self._kernels, "load_running_statistics", self._channels, parameters)

    def _gradients(self, dparameters: Array | None) -> Calls:
        dtype = self._sums.dtype
        parameters = [
            *(*reads(self._parts, random_access=True), *writes(self._sums, random_access=True)),
            *(
                null_pointer(dtype)
                if dparameters is None
                else writes(self._kernels.view(dparameters), random_access=True)
            ),
            *ints(self._channels, self._slices),
        ]
        return elementwise_calls(self._kernels, "combine_gradients", self._channels, parameters)


def _broadcast(*views: ArrayView) -> Iterable[KernelParameter]:
    return (given for view in views for given in reads(view, random_access=True))

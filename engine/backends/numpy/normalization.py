"""Batch normalization and dropout on NumPy."""

from __future__ import annotations

import math

import numpy as np

from engine.backends.numpy.calls import aligned_zeros, call, plain_call
from engine.backends.ops import Array, Calls, HostArray

_AXES = (1, 2, 3)  # the axes of (C, H, W, N) that statistics reduce over


class NumpyBatchNorm:
    """Batch normalization; see Ops.batch_norm. With n = (x - mean) / deviation, and means over a channel's m
    values:

    dweight = sum(dy * n); dbias = sum(dy); dx = weight / deviation * (dy - mean(dy) - n * mean(dy * n)) in
    training, weight / deviation * dy otherwise.
    """

    def __init__(
        self, x: Array, parameters: Array, buffers: Array, y: Array, epsilon: float, training: bool
    ) -> None:
        self._x, self._y, self._parameters, self._buffers = x, y, parameters, buffers
        self._training, self._epsilon = training, x.dtype.type(epsilon)
        self._mean, self._variance, self._scale = (aligned_zeros((len(x), 1, 1, 1), x.dtype) for _ in range(3))
        self._normal, self._work = aligned_zeros(x.shape, x.dtype), aligned_zeros(x.shape, x.dtype)
        self._count = int(np.prod(x.shape[1:]))

    def forward(self) -> Calls:
        mean, variance, scale, normal = self._mean, self._variance, self._scale, self._normal
        if self._training:
            calls = [
                plain_call(np.mean, self._x, axis=_AXES, out=mean, keepdims=True),
                call(np.subtract, self._x, mean, out=normal),
                call(np.multiply, normal, normal, out=self._work),
                plain_call(np.mean, self._work, axis=_AXES, out=variance, keepdims=True),
            ]
        else:
            calls = [
                plain_call(np.copyto, mean, self._per_channel(self._buffers[0])),
                plain_call(np.copyto, variance, self._per_channel(self._buffers[1])),
                call(np.subtract, self._x, mean, out=normal),
            ]
        weight, bias = self._per_channel(self._parameters[0]), self._per_channel(self._parameters[1])
        return [
            *calls,
            call(np.add, variance, self._epsilon, out=scale),
            call(np.sqrt, scale, out=scale),
            call(np.divide, normal.dtype.type(1), scale, out=scale),
            call(np.multiply, normal, scale, out=normal),
            call(np.multiply, normal, weight, out=self._y),
            call(np.add, self._y, bias, out=self._y),
        ]

    def backward(self, dy: Array, dx: Array | None, dparameters: Array | None) -> Calls:
        work, normal = self._work, self._normal
        dweight, dbias, factor = (aligned_zeros((len(dy), 1, 1, 1), dy.dtype) for _ in range(3))
        calls = [
            call(np.multiply, dy, normal, out=work),
            plain_call(np.sum, work, axis=_AXES, out=dweight, keepdims=True),
            plain_call(np.sum, dy, axis=_AXES, out=dbias, keepdims=True),
        ]
        if dparameters is not None:
            calls += [
                plain_call(np.copyto, dparameters[0], dweight[:, 0, 0, 0]),
                plain_call(np.copyto, dparameters[1], dbias[:, 0, 0, 0]),
            ]
        if dx is None:
            return calls
        if self._training:
            share = dy.dtype.type(1 / self._count)
            calls += [
                call(np.multiply, dweight, share, out=dweight),
                call(np.multiply, dbias, share, out=dbias),
                call(np.multiply, normal, dweight, out=work),
                call(np.add, work, dbias, out=work),
                call(np.subtract, dy, work, out=work),
            ]
        else:
            calls.append(plain_call(np.copyto, work, dy))
        calls.append(call(np.multiply, self._per_channel(self._parameters[0]), self._scale, out=factor))
        return [*calls, call(np.multiply, work, factor, out=dx)]

    def update_running_statistics(self, buffers: Array, momentum: float) -> Calls:
        number = buffers.dtype.type
        correction = number(self._count / max(self._count - 1, 1))
        part = aligned_zeros((2, len(self._x)), buffers.dtype)
        return [
            call(np.multiply, self._mean[:, 0, 0, 0], number(momentum), out=part[0]),
            call(np.multiply, self._variance[:, 0, 0, 0], number(momentum) * correction, out=part[1]),
            call(np.multiply, buffers, number(1 - momentum), out=buffers),
            call(np.add, buffers, part, out=buffers),
        ]

    def _per_channel(self, values: Array) -> Array:
        return values[:, None, None, None]


_GOLDEN = np.uint32(0x9E3779B9)


def mix_bits(values: HostArray) -> HostArray:
    """A hash of uint32 values (n,), a new array; see Ops.dropout."""
    mixed = values.copy()
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(factor)
    mixed ^= mixed >> np.uint32(16)
    return mixed


class NumpyDropout:
    def __init__(self, x: Array, y: Array, rate: float, key: int, rng_counter: Array) -> None:
        self._x, self._y, self._rng_counter = x, y, rng_counter
        self._key, self._threshold = np.uint32(key), np.uint32(math.ceil(rate * 2**32))
        self._scale = x.dtype.type(1 / (1 - rate))
        self._factor = aligned_zeros(x.shape, x.dtype)
        self._indices = np.arange(int(np.prod(x.shape[:-1])), dtype=np.uint32)

    def forward(self) -> Calls:
        return [plain_call(self._draw), call(np.multiply, self._x, self._factor, out=self._y)]

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        return [] if dx is None else [call(np.multiply, dy, self._factor, out=dx)]

    def _draw(self) -> None:
        step = mix_bits(self._key + self._rng_counter[:1] * _GOLDEN)
        examples = mix_bits(step + self._rng_counter[1] + np.arange(self._x.shape[-1], dtype=np.uint32))
        random = mix_bits((self._indices[:, None] + examples).ravel()).reshape(self._x.shape)
        np.multiply(random >= self._threshold, self._scale, out=self._factor)

"""Batch normalization on NumPy."""

from __future__ import annotations

import math

import numpy as np

from engine.backends.numpy import calls as memory
from engine.backends.numpy.calls import call, run
from engine.backends.ops import Array, Calls, HostArray

_EACH = (1, 2, 3)  # the axes of (C, H, W, N) that a channel's statistics run over


class BatchNorm:
    """See Operations.batch_norm. With n = (x - mean) / deviation, and means over a channel's m values:

    dweight = sum(dy * n); dbias = sum(dy); dx = weight / deviation * (dy - mean(dy) - n * mean(dy * n)) in
    training, weight / deviation * dy otherwise.
    """

    def __init__(self, x: Array, block: Array, state: Array, y: Array, epsilon: float, training: bool) -> None:
        self._x, self._y, self._block, self._state = x, y, block, state
        self._training, self._epsilon = training, x.dtype.type(epsilon)
        self._mean, self._variance, self._scale = (memory.zeros((len(x), 1, 1, 1), x.dtype) for _ in range(3))
        self._normal, self._work = memory.zeros(x.shape, x.dtype), memory.zeros(x.shape, x.dtype)
        self._count = int(np.prod(x.shape[1:]))

    def forward(self) -> Calls:
        """The calls that fill y."""
        mean, variance, scale, normal = self._mean, self._variance, self._scale, self._normal
        if self._training:
            calls = [
                run(np.mean, self._x, axis=_EACH, out=mean, keepdims=True),
                call(np.subtract, self._x, mean, out=normal),
                call(np.multiply, normal, normal, out=self._work),
                run(np.mean, self._work, axis=_EACH, out=variance, keepdims=True),
            ]
        else:
            calls = [
                run(np.copyto, mean, self._each(self._state[0])),
                run(np.copyto, variance, self._each(self._state[1])),
                call(np.subtract, self._x, mean, out=normal),
            ]
        weight, bias = self._each(self._block[0]), self._each(self._block[1])
        return [
            *calls,
            call(np.add, variance, self._epsilon, out=scale),
            call(np.sqrt, scale, out=scale),
            call(np.divide, normal.dtype.type(1), scale, out=scale),
            call(np.multiply, normal, scale, out=normal),
            call(np.multiply, normal, weight, out=self._y),
            call(np.add, self._y, bias, out=self._y),
        ]

    def backward(self, dy: Array, dx: Array | None, dblock: Array | None) -> Calls:
        """The calls that fill dx and dblock."""
        work, normal = self._work, self._normal
        dweight, dbias, factor = (memory.zeros((len(dy), 1, 1, 1), dy.dtype) for _ in range(3))
        calls = [
            call(np.multiply, dy, normal, out=work),
            run(np.sum, work, axis=_EACH, out=dweight, keepdims=True),
            run(np.sum, dy, axis=_EACH, out=dbias, keepdims=True),
        ]
        if dblock is not None:
            calls += [run(np.copyto, dblock[0], dweight[:, 0, 0, 0]), run(np.copyto, dblock[1], dbias[:, 0, 0, 0])]
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
            calls.append(run(np.copyto, work, dy))
        calls.append(call(np.multiply, self._each(self._block[0]), self._scale, out=factor))
        return [*calls, call(np.multiply, work, factor, out=dx)]

    def settle(self, state: Array, momentum: float) -> Calls:
        """The calls that carry the batch's statistics into `state`."""
        number = state.dtype.type
        corrected = number(self._count / max(self._count - 1, 1))
        part = memory.zeros((2, len(self._x)), state.dtype)
        return [
            call(np.multiply, self._mean[:, 0, 0, 0], number(momentum), out=part[0]),
            call(np.multiply, self._variance[:, 0, 0, 0], number(momentum) * corrected, out=part[1]),
            call(np.multiply, state, number(1 - momentum), out=state),
            call(np.add, state, part, out=state),
        ]

    def _each(self, values: Array) -> Array:
        return values[:, None, None, None]


_GOLDEN = np.uint32(0x9E3779B9)


def mix(values: HostArray) -> HostArray:
    """A new array (n,) of uint32 in which every bit depends on every bit of `values`; see Operations.dropout."""
    mixed = values.copy()
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(factor)
    mixed ^= mixed >> np.uint32(16)
    return mixed


class Dropout:
    """See Operations.dropout."""

    def __init__(self, x: Array, y: Array, rate: float, key: int, moment: Array) -> None:
        self._x, self._y, self._moment = x, y, moment
        self._key, self._least = np.uint32(key), np.uint32(math.ceil(rate * 2**32))
        self._kept = x.dtype.type(1 / (1 - rate))
        self._factor = memory.zeros(x.shape, x.dtype)
        self._places = np.arange(int(np.prod(x.shape[:-1])), dtype=np.uint32)

    def forward(self) -> Calls:
        """The calls that fill y."""
        return [run(self._toss), call(np.multiply, self._x, self._factor, out=self._y)]

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        """The calls that fill dx."""
        return [] if dx is None else [call(np.multiply, dy, self._factor, out=dx)]

    def _toss(self) -> None:
        step = mix(self._key + self._moment[:1] * _GOLDEN)
        examples = mix(step + self._moment[1] + np.arange(self._x.shape[-1], dtype=np.uint32))
        coins = mix((self._places[:, None] + examples).ravel()).reshape(self._x.shape)
        np.multiply(coins >= self._least, self._kept, out=self._factor)

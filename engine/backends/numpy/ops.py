"""ArrayOperations: every operation on NumPy, each put together in a file of its own beside this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.backends.numpy import calls as memory
from engine.backends.numpy import training_ops
from engine.backends.numpy.calls import call, run
from engine.backends.numpy.convolution import convolution, fits_pooled_rows
from engine.backends.numpy.fused_conv_pool import PooledRows
from engine.backends.numpy.normalization import BatchNorm, Dropout
from engine.backends.numpy.pooling import AveragePool, GlobalAverage, MaxPool
from engine.backends.numpy.row_layout import matrix_product
from engine.backends.numpy.threads import Lanes
from engine.backends.ops import Activation, Array, Calls, ConvolutionTwoWay, HostArray, Inlet, Operations, Outlet

# So much more than the maps themselves may be read.
SMALL_BYTES = 65_536


def activation(kind: Activation, x: Array, y: Array, slope: float) -> Calls:
    """See Operations.activation."""
    number = x.dtype.type
    if kind == "relu":
        # Against an array, NumPy finds the larger three times faster than against a number; and of lists without
        # gaps, before it could set up a loop over all axes of small maps.
        if x.flags.c_contiguous and y.flags.c_contiguous and x.nbytes <= SMALL_BYTES:
            return [call(np.maximum, x.reshape(-1), memory.zeros((x.size,), x.dtype), out=y.reshape(-1))]
        nothing = memory.zeros(x.shape[1:] if x.ndim > 2 else x.shape, x.dtype)
        return [call(np.maximum, x, nothing, out=y)]
    if kind == "tanh":
        return [call(np.tanh, x, out=y)]
    work = memory.zeros(x.shape, x.dtype)
    if kind == "leaky_relu":
        return [
            call(np.minimum, x, number(0), out=work),
            call(np.multiply, work, number(slope), out=work),
            call(np.maximum, x, number(0), out=y),
            call(np.add, y, work, out=y),
        ]
    # 1 / (1 + exp(-x)) as (1 + tanh(x / 2)) / 2, which cannot overflow.
    return [
        call(np.multiply, x, number(0.5), out=work),
        call(np.tanh, work, out=work),
        call(np.multiply, work, number(0.5), out=work),
        call(np.add, work, number(0.5), out=y),
    ]


def activation_gradient(kind: Activation, y: Array, dy: Array, dx: Array, slope: float) -> Calls:
    """See Operations.activation_gradient."""
    number = y.dtype.type
    if kind == "relu":
        mask = memory.zeros(y.shape, bool)
        return [call(np.greater, y, number(0), out=mask), call(np.multiply, dy, mask, out=dx)]
    work = memory.zeros(y.shape, y.dtype)
    if kind == "leaky_relu":
        calls = [
            call(np.greater, y, number(0), out=work),
            call(np.multiply, work, number(1 - slope), out=work),
            call(np.add, work, number(slope), out=work),
        ]
    elif kind == "tanh":
        calls = [call(np.multiply, y, y, out=work), call(np.subtract, number(1), work, out=work)]
    else:
        calls = [call(np.subtract, number(1), y, out=work), call(np.multiply, work, y, out=work)]
    return [*calls, call(np.multiply, dy, work, out=dx)]


def softmax_cross_entropy(
    scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array, total: int
) -> Calls:
    """See Operations.softmax_cross_entropy."""
    top, summed = memory.zeros(scores.shape[1:], scores.dtype), memory.zeros(scores.shape[1:], scores.dtype)
    logs = memory.zeros(votes.shape, votes.dtype)
    return [
        run(np.maximum.reduce, scores, axis=0, out=top),
        call(np.subtract, scores, top, out=logs),
        call(np.exp, logs, out=votes),
        run(np.add.reduce, votes, axis=0, out=summed),
        call(np.divide, votes, summed, out=votes),
        call(np.subtract, votes, targets, out=dscores),
        call(np.multiply, dscores, dscores.dtype.type(1 / total), out=dscores),
        call(np.log, summed, out=summed),
        call(np.subtract, summed, logs, out=logs),
        call(np.multiply, logs, targets, out=logs),
        run(np.add.reduce, logs, axis=0, out=loss),
    ]


class _Inlet:
    """See Inlet."""

    def __init__(self, target: Array) -> None:
        self.calls: Calls = []
        self._target = target

    def put(self, values: HostArray) -> None:
        """At once."""
        np.copyto(self._target, values)


class _Outlet:
    """See Outlet."""

    def __init__(self, sources: Sequence[Array]) -> None:
        self.calls: Calls = []
        self._sources = sources

    def take(self) -> list[HostArray]:
        """Copies."""
        return [np.array(source) for source in self._sources]


class ArrayOperations(Operations):
    """See Operations for what each does."""

    def __init__(self) -> None:
        self._lanes = Lanes()

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """A new array of zeros."""
        return memory.zeros(shape, dtype)

    def full(self, shape: tuple[int, ...], value: float, dtype: Any) -> Array:
        """A new array that holds `value` everywhere."""
        return memory.full(shape, value, dtype)

    def from_host(self, values: HostArray) -> Array:
        """A copy."""
        return np.array(values)

    def to_host(self, array: Array) -> HostArray:
        """A copy."""
        return np.array(array)

    def upload(self, values: HostArray, target: Array) -> None:
        """target = values."""
        np.copyto(target, values)

    def inlet(self, target: Array) -> Inlet:
        """The values are put where they belong."""
        return _Inlet(target)

    def outlet(self, sources: Sequence[Array]) -> Outlet:
        """The values lie where they are taken."""
        return _Outlet(sources)

    def together(self, lanes: Sequence[Calls]) -> Calls:
        """On two threads where there are cores for them."""
        return self._lanes.together(lanes)

    def sliced(self, lanes: Sequence[Calls]) -> Callable[[float], bool]:
        """The same, stopping between any two calls."""
        return self._lanes.sliced(lanes)

    def fill(self, target: Array, value: float) -> Calls:
        """target = value."""
        return [run(target.fill, target.dtype.type(value))]

    def copy(self, source: Array, target: Array) -> Calls:
        """target = source."""
        return [run(np.copyto, target, source)]

    def add(self, left: Array, right: Array, out: Array) -> Calls:
        """out = left + right."""
        return [call(np.add, left, right, out=out)]

    def product(self, left: Array, right: Array, out: Array) -> Calls:
        """out = left @ right."""
        return [matrix_product(left, right, out)]

    def activation(self, kind: Activation, x: Array, y: Array, slope: float = 0.0) -> Calls:
        """y = f(x)."""
        return activation(kind, x, y, slope)

    def activation_gradient(self, kind: Activation, y: Array, dy: Array, dx: Array, slope: float = 0.0) -> Calls:
        """dx = dy * f'(x)."""
        return activation_gradient(kind, y, dy, dx, slope)

    def softmax_cross_entropy(
        self, scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array, total: int
    ) -> Calls:
        """Votes, loss and gradient."""
        return softmax_cross_entropy(scores, targets, votes, loss, dscores, total)

    def convolution(
        self, x: Array, matrix: Array, y: Array, size: int, stride: int, margin: int, divisor: int
    ) -> ConvolutionTwoWay:
        """The sliding of features."""
        return convolution(x, matrix, y, size, stride, margin, divisor, self._lanes)

    def convolution_max_pool(
        self,
        x: Array,
        matrix: Array,
        y: Array,
        size: int,
        stride: int,
        margin: int,
        divisor: int,
        between: tuple[int, ...],
        pool_size: int,
        pool_stride: int,
        learn: bool,
    ) -> ConvolutionTwoWay:
        """The largest matches, some rows at a time where that can be done."""
        if fits_pooled_rows(x, y, size, stride, pool_size, pool_stride):
            return PooledRows(x, matrix, y, size, margin, divisor, pool_size, learn)
        return super().convolution_max_pool(
            x, matrix, y, size, stride, margin, divisor, between, pool_size, pool_stride, learn
        )

    def max_pool(self, x: Array, y: Array, size: int, stride: int) -> MaxPool:
        """The largest of each window."""
        return MaxPool(x, y, size, stride)

    def average_pool(self, x: Array, y: Array, size: int, stride: int) -> AveragePool:
        """The mean of each window."""
        return AveragePool(x, y, size, stride)

    def global_average(self, x: Array, y: Array) -> GlobalAverage:
        """The mean of each map."""
        return GlobalAverage(x, y)

    def dropout(self, x: Array, y: Array, rate: float, key: int, moment: Array) -> Dropout:
        """Values switched off by counted coins."""
        return Dropout(x, y, rate, key, moment)

    def batch_norm(
        self, x: Array, block: Array, state: Array, y: Array, epsilon: float, training: bool
    ) -> BatchNorm:
        """Every channel brought to mean 0 and variance 1, then scaled and shifted."""
        return BatchNorm(x, block, state, y, epsilon, training)

    def gather(self, table: Array, order: Array, clock: Array, first: int, out: Array) -> Calls:
        """Part of a batch."""
        return training_ops.gather(table, order, clock, first, out)

    def advance(self, clock: Array, moment: Array, fine: Array) -> Calls:
        """The step is done."""
        return training_ops.advance(clock, moment, fine)

    def check(self, arrays: Sequence[Array], fine: Array) -> Calls:
        """Are all values finite?"""
        return training_ops.check(arrays, fine)

    def choose(self, fine: Array, when: int, source: Array, target: Array) -> Calls:
        """A copy under a condition."""
        return training_ops.choose(fine, when, source, target)

    def record(self, loss: Array, clock: Array, losses: Array) -> Calls:
        """The step's mean error."""
        return training_ops.record(loss, clock, losses)

    def clip(self, gradients: Array, limit: float) -> Calls:
        """A gradient no longer than `limit`."""
        return training_ops.clip(gradients, limit)

    def penalise(self, values: Array, weights: Array, strength: float, gradients: Array) -> Calls:
        """L2's part of the gradient."""
        return training_ops.penalise(values, weights, strength, gradients)

    def decay(self, values: Array, weights: Array, strength: float, rates: Array, clock: Array) -> Calls:
        """Decoupled decay."""
        return training_ops.decay(values, weights, strength, rates, clock)

    def sgd(
        self,
        values: Array,
        gradients: Array,
        velocity: Array,
        momentum: float,
        nesterov: bool,
        rates: Array,
        clock: Array,
    ) -> Calls:
        """One step of gradient descent."""
        return training_ops.sgd(values, gradients, velocity, momentum, nesterov, rates, clock)

    def adam(
        self,
        values: Array,
        gradients: Array,
        mean: Array,
        square: Array,
        count: Array,
        beta1: float,
        beta2: float,
        epsilon: float,
        rates: Array,
        clock: Array,
    ) -> Calls:
        """One step of Adam."""
        return training_ops.adam(values, gradients, mean, square, count, beta1, beta2, epsilon, rates, clock)

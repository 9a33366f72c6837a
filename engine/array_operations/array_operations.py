"""ArrayOperations: every operation on NumPy, each put together in a file of its own beside this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.array_operations import elementwise, learning, memory
from engine.array_operations.average_pool import AveragePool, GlobalAverage
from engine.array_operations.batch_norm import BatchNorm
from engine.array_operations.calls import call, run
from engine.array_operations.convolution import convolution, fits_pooled_rows
from engine.array_operations.dropout import Dropout
from engine.array_operations.lanes import Lanes
from engine.array_operations.max_pool import MaxPool
from engine.array_operations.pooled_rows import PooledRows
from engine.array_operations.products import matrix_product
from engine.backends.ops import Activation, Array, Calls, ConvolutionTwoWay, HostArray, Inlet, Operations, Outlet


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
        return elementwise.activation(kind, x, y, slope)

    def activation_gradient(self, kind: Activation, y: Array, dy: Array, dx: Array, slope: float = 0.0) -> Calls:
        """dx = dy * f'(x)."""
        return elementwise.activation_gradient(kind, y, dy, dx, slope)

    def softmax_cross_entropy(
        self, scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array, total: int
    ) -> Calls:
        """Votes, loss and gradient."""
        return elementwise.softmax_cross_entropy(scores, targets, votes, loss, dscores, total)

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
        return learning.gather(table, order, clock, first, out)

    def advance(self, clock: Array, moment: Array, fine: Array) -> Calls:
        """The step is done."""
        return learning.advance(clock, moment, fine)

    def check(self, arrays: Sequence[Array], fine: Array) -> Calls:
        """Are all values finite?"""
        return learning.check(arrays, fine)

    def choose(self, fine: Array, when: int, source: Array, target: Array) -> Calls:
        """A copy under a condition."""
        return learning.choose(fine, when, source, target)

    def record(self, loss: Array, clock: Array, losses: Array) -> Calls:
        """The step's mean error."""
        return learning.record(loss, clock, losses)

    def clip(self, gradients: Array, limit: float) -> Calls:
        """A gradient no longer than `limit`."""
        return learning.clip(gradients, limit)

    def penalise(self, values: Array, weights: Array, strength: float, gradients: Array) -> Calls:
        """L2's part of the gradient."""
        return learning.penalise(values, weights, strength, gradients)

    def decay(self, values: Array, weights: Array, strength: float, rates: Array, clock: Array) -> Calls:
        """Decoupled decay."""
        return learning.decay(values, weights, strength, rates, clock)

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
        return learning.sgd(values, gradients, velocity, momentum, nesterov, rates, clock)

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
        return learning.adam(values, gradients, mean, square, count, beta1, beta2, epsilon, rates, clock)

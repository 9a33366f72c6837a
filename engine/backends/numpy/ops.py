"""NumpyOps: the array operations on NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.backends.numpy import training_ops
from engine.backends.numpy.calls import call, full, run, zeros
from engine.backends.numpy.convolution import convolution, fits_pooled_rows
from engine.backends.numpy.fused_conv_pool import PooledRows
from engine.backends.numpy.normalization import BatchNorm, Dropout
from engine.backends.numpy.pooling import AveragePool, GlobalAverage, MaxPool
from engine.backends.numpy.row_layout import matrix_product
from engine.backends.numpy.threads import Lanes
from engine.backends.ops import Activation, Array, Calls, ConvolutionTwoWay, HostArray, Inlet, Operations, Outlet

# Up to this size an array of zeros as large as the input may be read beside it.
SMALL_BYTES = 65_536


def activation(kind: Activation, x: Array, y: Array, slope: float) -> Calls:
    number = x.dtype.type
    if kind == "relu":
        # np.maximum is three times faster against an array than against a scalar; and for small contiguous maps, on
        # flat arrays, faster than setting up a loop over all axes.
        if x.flags.c_contiguous and y.flags.c_contiguous and x.nbytes <= SMALL_BYTES:
            return [call(np.maximum, x.reshape(-1), zeros((x.size,), x.dtype), out=y.reshape(-1))]
        zero = zeros(x.shape[1:] if x.ndim > 2 else x.shape, x.dtype)
        return [call(np.maximum, x, zero, out=y)]
    if kind == "tanh":
        return [call(np.tanh, x, out=y)]
    work = zeros(x.shape, x.dtype)
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
    number = y.dtype.type
    if kind == "relu":
        mask = zeros(y.shape, bool)
        return [call(np.greater, y, number(0), out=mask), call(np.multiply, dy, mask, out=dx)]
    work = zeros(y.shape, y.dtype)
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
    top, summed = zeros(scores.shape[1:], scores.dtype), zeros(scores.shape[1:], scores.dtype)
    logs = zeros(votes.shape, votes.dtype)
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


class _NumpyHostInput:
    def __init__(self, target: Array) -> None:
        self.calls: Calls = []
        self._target = target

    def put(self, values: HostArray) -> None:
        np.copyto(self._target, values)


class _NumpyHostOutput:
    def __init__(self, sources: Sequence[Array]) -> None:
        self.calls: Calls = []
        self._sources = sources

    def take(self) -> list[HostArray]:
        return [np.array(source) for source in self._sources]


class ArrayOperations(Operations):
    def __init__(self) -> None:
        self._threads = Lanes()

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return zeros(shape, dtype)

    def full(self, shape: tuple[int, ...], value: float, dtype: Any) -> Array:
        return full(shape, value, dtype)

    def from_host(self, values: HostArray) -> Array:
        return np.array(values)

    def to_host(self, array: Array) -> HostArray:
        return np.array(array)

    def upload(self, values: HostArray, target: Array) -> None:
        np.copyto(target, values)

    def inlet(self, target: Array) -> Inlet:
        return _NumpyHostInput(target)

    def outlet(self, sources: Sequence[Array]) -> Outlet:
        return _NumpyHostOutput(sources)

    def together(self, call_lists: Sequence[Calls]) -> Calls:
        """On two threads if there are two cores."""
        return self._threads.together(call_lists)

    def sliced(self, call_lists: Sequence[Calls]) -> Callable[[float], bool]:
        return self._threads.sliced(call_lists)

    def fill(self, target: Array, value: float) -> Calls:
        return [run(target.fill, target.dtype.type(value))]

    def copy(self, source: Array, target: Array) -> Calls:
        return [run(np.copyto, target, source)]

    def add(self, left: Array, right: Array, out: Array) -> Calls:
        return [call(np.add, left, right, out=out)]

    def product(self, left: Array, right: Array, out: Array) -> Calls:
        return [matrix_product(left, right, out)]

    def activation(self, kind: Activation, x: Array, y: Array, slope: float = 0.0) -> Calls:
        return activation(kind, x, y, slope)

    def activation_gradient(self, kind: Activation, y: Array, dy: Array, dx: Array, slope: float = 0.0) -> Calls:
        return activation_gradient(kind, y, dy, dx, slope)

    def softmax_cross_entropy(
        self, scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array, total: int
    ) -> Calls:
        return softmax_cross_entropy(scores, targets, votes, loss, dscores, total)

    def convolution(
        self, x: Array, matrix: Array, y: Array, size: int, stride: int, padding: int, normalizer: int
    ) -> ConvolutionTwoWay:
        return convolution(x, matrix, y, size, stride, padding, normalizer, self._threads)

    def convolution_max_pool(
        self,
        x: Array,
        matrix: Array,
        y: Array,
        size: int,
        stride: int,
        padding: int,
        normalizer: int,
        conv_shape: tuple[int, ...],
        pool_size: int,
        pool_stride: int,
        needs_gradient: bool,
    ) -> ConvolutionTwoWay:
        """Fused where `can_fuse_max_pool` holds."""
        if fits_pooled_rows(x, y, size, stride, pool_size, pool_stride):
            return PooledRows(x, matrix, y, size, padding, normalizer, pool_size, needs_gradient)
        return super().convolution_max_pool(
            x, matrix, y, size, stride, padding, normalizer, conv_shape, pool_size, pool_stride, needs_gradient
        )

    def max_pool(self, x: Array, y: Array, size: int, stride: int) -> MaxPool:
        return MaxPool(x, y, size, stride)

    def average_pool(self, x: Array, y: Array, size: int, stride: int) -> AveragePool:
        return AveragePool(x, y, size, stride)

    def global_average(self, x: Array, y: Array) -> GlobalAverage:
        return GlobalAverage(x, y)

    def dropout(self, x: Array, y: Array, rate: float, key: int, rng_counter: Array) -> Dropout:
        return Dropout(x, y, rate, key, rng_counter)

    def batch_norm(
        self, x: Array, parameters: Array, buffers: Array, y: Array, epsilon: float, training: bool
    ) -> BatchNorm:
        return BatchNorm(x, parameters, buffers, y, epsilon, training)

    def gather(self, table: Array, order: Array, step_index: Array, first: int, out: Array) -> Calls:
        return training_ops.gather(table, order, step_index, first, out)

    def advance(self, step_index: Array, rng_counter: Array, is_finite: Array) -> Calls:
        return training_ops.advance(step_index, rng_counter, is_finite)

    def check(self, arrays: Sequence[Array], is_finite: Array) -> Calls:
        return training_ops.check(arrays, is_finite)

    def choose(self, is_finite: Array, when: int, source: Array, target: Array) -> Calls:
        return training_ops.choose(is_finite, when, source, target)

    def record(self, loss: Array, step_index: Array, losses: Array) -> Calls:
        return training_ops.record(loss, step_index, losses)

    def clip(self, gradients: Array, limit: float) -> Calls:
        return training_ops.clip(gradients, limit)

    def penalise(self, values: Array, weights: Array, strength: float, gradients: Array) -> Calls:
        return training_ops.penalise(values, weights, strength, gradients)

    def decay(self, values: Array, weights: Array, strength: float, rates: Array, step_index: Array) -> Calls:
        return training_ops.decay(values, weights, strength, rates, step_index)

    def sgd(
        self,
        values: Array,
        gradients: Array,
        velocity: Array,
        momentum: float,
        nesterov: bool,
        rates: Array,
        step_index: Array,
    ) -> Calls:
        return training_ops.sgd(values, gradients, velocity, momentum, nesterov, rates, step_index)

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
        step_index: Array,
    ) -> Calls:
        return training_ops.adam(values, gradients, mean, square, count, beta1, beta2, epsilon, rates, step_index)

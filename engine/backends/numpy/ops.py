"""NumpyOps: the array operations on NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.backends.numpy import training_ops
from engine.backends.numpy.calls import aligned_full, aligned_zeros, call, plain_call
from engine.backends.numpy.convolution import can_fuse_max_pool, convolution
from engine.backends.numpy.fused_conv_pool import FusedConvMaxPool
from engine.backends.numpy.normalization import NumpyBatchNorm, NumpyDropout
from engine.backends.numpy.pooling import NumpyAveragePool, NumpyGlobalAveragePool, NumpyMaxPool
from engine.backends.numpy.row_layout import matrix_product
from engine.backends.numpy.threads import ThreadPair
from engine.backends.ops import Activation, Array, Calls, ConvolutionOp, HostArray, HostInput, HostOutput, Ops

# Up to this size an array of zeros as large as the input may be read beside it.
SMALL_BYTES = 65_536


def activation(kind: Activation, x: Array, y: Array, slope: float) -> Calls:
    number = x.dtype.type
    if kind == "relu":
        # np.maximum is three times faster against an array than against a scalar; and for small contiguous maps, on
        # flat arrays, faster than setting up a loop over all axes.
        if x.flags.c_contiguous and y.flags.c_contiguous and x.nbytes <= SMALL_BYTES:
            return [call(np.maximum, x.reshape(-1), aligned_zeros((x.size,), x.dtype), out=y.reshape(-1))]
        zero = aligned_zeros(x.shape[1:] if x.ndim > 2 else x.shape, x.dtype)
        return [call(np.maximum, x, zero, out=y)]
    if kind == "tanh":
        return [call(np.tanh, x, out=y)]
    work = aligned_zeros(x.shape, x.dtype)
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
        mask = aligned_zeros(y.shape, bool)
        return [call(np.greater, y, number(0), out=mask), call(np.multiply, dy, mask, out=dx)]
    work = aligned_zeros(y.shape, y.dtype)
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
    top, summed = aligned_zeros(scores.shape[1:], scores.dtype), aligned_zeros(scores.shape[1:], scores.dtype)
    logs = aligned_zeros(votes.shape, votes.dtype)
    return [
        plain_call(np.maximum.reduce, scores, axis=0, out=top),
        call(np.subtract, scores, top, out=logs),
        call(np.exp, logs, out=votes),
        plain_call(np.add.reduce, votes, axis=0, out=summed),
        call(np.divide, votes, summed, out=votes),
        call(np.subtract, votes, targets, out=dscores),
        call(np.multiply, dscores, dscores.dtype.type(1 / total), out=dscores),
        call(np.log, summed, out=summed),
        call(np.subtract, summed, logs, out=logs),
        call(np.multiply, logs, targets, out=logs),
        plain_call(np.add.reduce, logs, axis=0, out=loss),
    ]


class _NumpyHostInput:
    def __init__(self, target: Array) -> None:
        self.calls: Calls = []
        self._target = target

    def write(self, values: HostArray) -> None:
        np.copyto(self._target, values)


class _NumpyHostOutput:
    def __init__(self, sources: Sequence[Array]) -> None:
        self.calls: Calls = []
        self._sources = sources

    def read(self) -> list[HostArray]:
        return [np.array(source) for source in self._sources]


class NumpyOps(Ops):
    def __init__(self) -> None:
        self._threads = ThreadPair()

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return aligned_zeros(shape, dtype)

    def full(self, shape: tuple[int, ...], value: float, dtype: Any) -> Array:
        return aligned_full(shape, value, dtype)

    def from_host(self, values: HostArray) -> Array:
        return np.array(values)

    def to_host(self, array: Array) -> HostArray:
        return np.array(array)

    def upload(self, values: HostArray, target: Array) -> None:
        np.copyto(target, values)

    def host_input(self, target: Array) -> HostInput:
        return _NumpyHostInput(target)

    def host_output(self, sources: Sequence[Array]) -> HostOutput:
        return _NumpyHostOutput(sources)

    def in_parallel(self, call_lists: Sequence[Calls]) -> Calls:
        """On two threads if there are two cores."""
        return self._threads.in_parallel(call_lists)

    def in_slices(self, call_lists: Sequence[Calls]) -> Callable[[float], bool]:
        return self._threads.in_slices(call_lists)

    def fill(self, target: Array, value: float) -> Calls:
        return [plain_call(target.fill, target.dtype.type(value))]

    def copy(self, source: Array, target: Array) -> Calls:
        return [plain_call(np.copyto, target, source)]

    def add(self, left: Array, right: Array, out: Array) -> Calls:
        return [call(np.add, left, right, out=out)]

    def matmul(self, left: Array, right: Array, out: Array) -> Calls:
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
    ) -> ConvolutionOp:
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
    ) -> ConvolutionOp:
        """Fused where `can_fuse_max_pool` holds."""
        if can_fuse_max_pool(x, y, size, stride, pool_size, pool_stride):
            return FusedConvMaxPool(x, matrix, y, size, padding, normalizer, pool_size, needs_gradient)
        return super().convolution_max_pool(
            x, matrix, y, size, stride, padding, normalizer, conv_shape, pool_size, pool_stride, needs_gradient
        )

    def max_pool(self, x: Array, y: Array, size: int, stride: int) -> NumpyMaxPool:
        return NumpyMaxPool(x, y, size, stride)

    def average_pool(self, x: Array, y: Array, size: int, stride: int) -> NumpyAveragePool:
        return NumpyAveragePool(x, y, size, stride)

    def global_average_pool(self, x: Array, y: Array) -> NumpyGlobalAveragePool:
        return NumpyGlobalAveragePool(x, y)

    def dropout(self, x: Array, y: Array, rate: float, key: int, rng_counter: Array) -> NumpyDropout:
        return NumpyDropout(x, y, rate, key, rng_counter)

    def batch_norm(
        self, x: Array, parameters: Array, buffers: Array, y: Array, epsilon: float, training: bool
    ) -> NumpyBatchNorm:
        return NumpyBatchNorm(x, parameters, buffers, y, epsilon, training)

    def gather_batch(self, table: Array, order: Array, step_index: Array, first: int, out: Array) -> Calls:
        return training_ops.gather_batch(table, order, step_index, first, out)

    def advance_counters(self, step_index: Array, rng_counter: Array, is_finite: Array) -> Calls:
        return training_ops.advance_counters(step_index, rng_counter, is_finite)

    def check_finite(self, arrays: Sequence[Array], is_finite: Array) -> Calls:
        return training_ops.check_finite(arrays, is_finite)

    def restore_if(self, is_finite: Array, when: int, source: Array, target: Array) -> Calls:
        return training_ops.restore_if(is_finite, when, source, target)

    def store_loss(self, loss: Array, step_index: Array, losses: Array) -> Calls:
        return training_ops.store_loss(loss, step_index, losses)

    def clip_norm(self, gradients: Array, limit: float) -> Calls:
        return training_ops.clip_norm(gradients, limit)

    def add_l2_gradient(self, values: Array, weights: Array, strength: float, gradients: Array) -> Calls:
        return training_ops.add_l2_gradient(values, weights, strength, gradients)

    def weight_decay(
        self, values: Array, weights: Array, strength: float, rates: Array, step_index: Array
    ) -> Calls:
        return training_ops.weight_decay(values, weights, strength, rates, step_index)

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

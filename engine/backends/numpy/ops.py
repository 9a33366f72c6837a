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
from engine.backends.ops import (
    ActivationFunction,
    Array,
    Calls,
    ConvolutionOp,
    ConvSpec,
    HostArray,
    HostInput,
    HostOutput,
    Ops,
    PoolSpec,
    UpdateArrays,
    unknown_activation,
)

# Up to this size an array of zeros as large as the input may be read beside it.
SMALL_BYTES = 65_536


def _relu(x: Array, y: Array, slope: float) -> Calls:
    # np.maximum is three times faster against an array than against a scalar; and for small contiguous maps, on
    # flat arrays, faster than setting up a loop over all axes.
    if x.flags.c_contiguous and y.flags.c_contiguous and x.nbytes <= SMALL_BYTES:
        return [call(np.maximum, x.reshape(-1), aligned_zeros((x.size,), x.dtype), out=y.reshape(-1))]
    zero = aligned_zeros(x.shape[1:] if x.ndim > 2 else x.shape, x.dtype)
    return [call(np.maximum, x, zero, out=y)]


def _leaky_relu(x: Array, y: Array, slope: float) -> Calls:
    number, work = x.dtype.type, aligned_zeros(x.shape, x.dtype)
    return [
        call(np.minimum, x, number(0), out=work),
        call(np.multiply, work, number(slope), out=work),
        call(np.maximum, x, number(0), out=y),
        call(np.add, y, work, out=y),
    ]


def _tanh(x: Array, y: Array, slope: float) -> Calls:
    return [call(np.tanh, x, out=y)]


def _sigmoid(x: Array, y: Array, slope: float) -> Calls:
    # 1 / (1 + exp(-x)) as (1 + tanh(x / 2)) / 2, which cannot overflow.
    number, work = x.dtype.type, aligned_zeros(x.shape, x.dtype)
    return [
        call(np.multiply, x, number(0.5), out=work),
        call(np.tanh, work, out=work),
        call(np.multiply, work, number(0.5), out=work),
        call(np.add, work, number(0.5), out=y),
    ]


def _relu_gradient(y: Array, dy: Array, dx: Array, slope: float) -> Calls:
    mask = aligned_zeros(y.shape, bool)
    return [call(np.greater, y, y.dtype.type(0), out=mask), call(np.multiply, dy, mask, out=dx)]


def _leaky_relu_gradient(y: Array, dy: Array, dx: Array, slope: float) -> Calls:
    number, work = y.dtype.type, aligned_zeros(y.shape, y.dtype)
    return [
        call(np.greater, y, number(0), out=work),
        call(np.multiply, work, number(1 - slope), out=work),
        call(np.add, work, number(slope), out=work),
        call(np.multiply, dy, work, out=dx),
    ]


def _tanh_gradient(y: Array, dy: Array, dx: Array, slope: float) -> Calls:
    work = aligned_zeros(y.shape, y.dtype)
    return [
        call(np.multiply, y, y, out=work),
        call(np.subtract, y.dtype.type(1), work, out=work),
        call(np.multiply, dy, work, out=dx),
    ]


def _sigmoid_gradient(y: Array, dy: Array, dx: Array, slope: float) -> Calls:
    work = aligned_zeros(y.shape, y.dtype)
    return [
        call(np.subtract, y.dtype.type(1), y, out=work),
        call(np.multiply, work, y, out=work),
        call(np.multiply, dy, work, out=dx),
    ]


# Forward(x, y, slope) and gradient(y, dy, dx, slope) by name; see Ops.activation.
ACTIVATIONS: dict[str, tuple[Callable[..., Calls], Callable[..., Calls]]] = {
    "relu": (_relu, _relu_gradient),
    "leaky_relu": (_leaky_relu, _leaky_relu_gradient),
    "tanh": (_tanh, _tanh_gradient),
    "sigmoid": (_sigmoid, _sigmoid_gradient),
}


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

    def activation(self, function: ActivationFunction, x: Array, y: Array) -> Calls:
        if function.name not in ACTIVATIONS:
            raise unknown_activation(function.name, ACTIVATIONS)
        return ACTIVATIONS[function.name][0](x, y, function.slope)

    def activation_gradient(self, function: ActivationFunction, y: Array, dy: Array, dx: Array) -> Calls:
        if function.name not in ACTIVATIONS:
            raise unknown_activation(function.name, ACTIVATIONS)
        return ACTIVATIONS[function.name][1](y, dy, dx, function.slope)

    def softmax_cross_entropy(
        self, scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array, total: int
    ) -> Calls:
        return softmax_cross_entropy(scores, targets, votes, loss, dscores, total)

    def convolution(self, x: Array, matrix: Array, y: Array, spec: ConvSpec) -> ConvolutionOp:
        return convolution(x, matrix, y, spec, self._threads)

    def convolution_max_pool(
        self,
        x: Array,
        matrix: Array,
        y: Array,
        spec: ConvSpec,
        conv_shape: tuple[int, ...],
        pool: PoolSpec,
        needs_gradient: bool,
    ) -> ConvolutionOp:
        """Fused where `can_fuse_max_pool` holds."""
        if can_fuse_max_pool(x, y, spec, pool):
            return FusedConvMaxPool(x, matrix, y, spec, pool.size, needs_gradient)
        return super().convolution_max_pool(x, matrix, y, spec, conv_shape, pool, needs_gradient)

    def max_pool(self, x: Array, y: Array, spec: PoolSpec) -> NumpyMaxPool:
        return NumpyMaxPool(x, y, spec)

    def average_pool(self, x: Array, y: Array, spec: PoolSpec) -> NumpyAveragePool:
        return NumpyAveragePool(x, y, spec)

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

    def sgd(self, arrays: UpdateArrays, momentum: float, nesterov: bool) -> Calls:
        return training_ops.sgd(arrays, momentum, nesterov)

    def adam(self, arrays: UpdateArrays, beta1: float, beta2: float, epsilon: float) -> Calls:
        return training_ops.adam(arrays, beta1, beta2, epsilon)

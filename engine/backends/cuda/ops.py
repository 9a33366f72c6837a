"""CudaOps: the array operations as launches of CUDA kernels."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.backends.cuda import pointwise, training_ops
from engine.backends.cuda.convolution import CudaConvolution, matmul
from engine.backends.cuda.launch import CudaDevice, KernelCache
from engine.backends.cuda.normalization import CudaBatchNorm
from engine.backends.cuda.pointwise import CudaDropout, CudaHostInput, CudaHostOutput
from engine.backends.cuda.pooling import CudaGlobalAveragePool, CudaPool
from engine.backends.cuda.tile_costs import TilingChoice
from engine.backends.ops import (
    ActivationFunction,
    Array,
    Calls,
    ConvSpec,
    HostArray,
    Ops,
    PoolSpec,
    UpdateArrays,
    replay,
)


class CudaOps(Ops):
    """The array operations on a CUDA device. Those that need contiguous arrays raise ValueError for others."""

    def __init__(self, device: CudaDevice, choose_tiling: TilingChoice | None = None) -> None:
        self.device = device
        self._kernels = KernelCache(device, choose_tiling)
        self._staging: dict[int, dict[tuple[tuple[int, ...], str], Array]] = {}

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.device.zeros(shape, dtype)

    def full(self, shape: tuple[int, ...], value: float, dtype: Any) -> Array:
        return self.device.from_host(np.full(shape, value, dtype))

    def from_host(self, values: HostArray) -> Array:
        return self.device.from_host(values)

    def to_host(self, array: Array) -> HostArray:
        """A copy on the host; a non-contiguous array is first copied into a contiguous one."""
        if self._kernels.view(array).is_contiguous:
            return self.device.to_host(array)
        packed = self._packed(array)
        replay(self.copy(array, packed))
        return self.device.to_host(packed)

    def upload(self, values: HostArray, target: Array) -> None:
        """target = values. Raises ValueError if the shapes differ."""
        if values.shape != tuple(target.shape):
            raise ValueError(f"Values {values.shape} do not fit into {tuple(target.shape)}.")
        values = np.ascontiguousarray(values, target.dtype)
        if self._kernels.view(target).is_contiguous:
            self.device.upload(values, target)
            return
        packed = self._packed(target)
        self.device.upload(values, packed)
        replay(self.copy(packed, target))

    def _packed(self, array: Array) -> Array:
        """A contiguous staging array for transfers of views like this one, which strokes and frames repeat; it is
        freed with the memory that `array` is a view of."""
        owner = array if array.base is None else array.base
        kept = self._staging.get(id(owner))
        if kept is None:
            kept = self._staging[id(owner)] = {}
            weakref.finalize(owner, self._staging.pop, id(owner), None).atexit = False
        key = tuple(array.shape), np.dtype(array.dtype).str
        if key not in kept:
            kept[key] = self.device.zeros(array.shape, array.dtype)
        return kept[key]

    def host_input(self, target: Array) -> CudaHostInput:
        """Through pinned host memory that the device reads."""
        return CudaHostInput(self._kernels, target)

    def host_output(self, sources: Sequence[Array]) -> CudaHostOutput:
        """Through pinned host memory that the device writes."""
        return CudaHostOutput(self._kernels, sources)

    def in_parallel(self, call_lists: Sequence[Calls]) -> Calls:
        """One list after the other: a CUDA graph runs independent launches in parallel."""
        return [call for calls in call_lists for call in calls]

    def in_slices(self, call_lists: Sequence[Calls]) -> Callable[[float], bool]:
        """In a single slice: launches are asynchronous and take almost no time on the host."""

        def run_until(_: float) -> bool:
            replay(self.in_parallel(call_lists))
            return True

        return run_until

    def fill(self, target: Array, value: float) -> Calls:
        return pointwise.fill(self._kernels, target, value)

    def copy(self, source: Array, target: Array) -> Calls:
        return pointwise.copy(self._kernels, source, target)

    def add(self, left: Array, right: Array, out: Array) -> Calls:
        return pointwise.add(self._kernels, left, right, out)

    def matmul(self, left: Array, right: Array, out: Array) -> Calls:
        return matmul(self._kernels, left, right, out)

    def activation(self, function: ActivationFunction, x: Array, y: Array) -> Calls:
        return pointwise.activation(self._kernels, function, x, y)

    def activation_gradient(self, function: ActivationFunction, y: Array, dy: Array, dx: Array) -> Calls:
        return pointwise.activation_gradient(self._kernels, function, y, dy, dx)

    def softmax_cross_entropy(
        self, scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array, total: int
    ) -> Calls:
        return pointwise.softmax_cross_entropy(self._kernels, scores, targets, votes, loss, dscores, total)

    def convolution(self, x: Array, matrix: Array, y: Array, spec: ConvSpec) -> CudaConvolution:
        return CudaConvolution(self._kernels, x, matrix, y, spec)

    def max_pool(self, x: Array, y: Array, spec: PoolSpec) -> CudaPool:
        return CudaPool(self._kernels, "max", x, y, spec)

    def average_pool(self, x: Array, y: Array, spec: PoolSpec) -> CudaPool:
        return CudaPool(self._kernels, "average", x, y, spec)

    def global_average_pool(self, x: Array, y: Array) -> CudaGlobalAveragePool:
        return CudaGlobalAveragePool(self._kernels, x, y)

    def dropout(self, x: Array, y: Array, rate: float, key: int, rng_counter: Array) -> CudaDropout:
        return CudaDropout(self._kernels, x, y, rate, key, rng_counter)

    def batch_norm(
        self, x: Array, parameters: Array, buffers: Array, y: Array, epsilon: float, training: bool
    ) -> CudaBatchNorm:
        return CudaBatchNorm(self._kernels, x, parameters, buffers, y, epsilon, training)

    def gather_batch(self, table: Array, order: Array, step_index: Array, first: int, out: Array) -> Calls:
        return training_ops.gather_batch(self._kernels, table, order, step_index, first, out)

    def advance_counters(self, step_index: Array, rng_counter: Array, is_finite: Array) -> Calls:
        return training_ops.advance_counters(self._kernels, step_index, rng_counter, is_finite)

    def check_finite(self, arrays: Sequence[Array], is_finite: Array) -> Calls:
        return training_ops.check_finite(self._kernels, arrays, is_finite)

    def restore_if(self, is_finite: Array, when: int, source: Array, target: Array) -> Calls:
        return training_ops.restore_if(self._kernels, is_finite, when, source, target)

    def store_loss(self, loss: Array, step_index: Array, losses: Array) -> Calls:
        return training_ops.store_loss(self._kernels, loss, step_index, losses)

    def clip_norm(self, gradients: Array, limit: float) -> Calls:
        return training_ops.clip_norm(self._kernels, gradients, limit)

    def add_l2_gradient(self, values: Array, weights: Array, strength: float, gradients: Array) -> Calls:
        return training_ops.add_l2_gradient(self._kernels, values, weights, strength, gradients)

    def weight_decay(
        self, values: Array, weights: Array, strength: float, rates: Array, step_index: Array
    ) -> Calls:
        return training_ops.weight_decay(self._kernels, values, weights, strength, rates, step_index)

    def sgd(self, arrays: UpdateArrays, momentum: float, nesterov: bool) -> Calls:
        return training_ops.sgd(self._kernels, arrays, momentum, nesterov)

    def adam(self, arrays: UpdateArrays, beta1: float, beta2: float, epsilon: float) -> Calls:
        return training_ops.adam(self._kernels, arrays, beta1, beta2, epsilon)

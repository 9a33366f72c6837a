"""Elementwise operations on a GPU: copies, sums, activations, dropout, softmax cross-entropy; transfers of
programs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.backends.cuda.arguments import (
    DeviceFunction,
    KernelParameter,
    fast_divisor,
    ints,
    reads,
    scalar,
    writes,
)
from engine.backends.cuda.arrays import ArrayView
from engine.backends.cuda.launch import ElementwiseLaunch, KernelCache
from engine.backends.ops import ActivationFunction, Array, Calls, HostArray, unknown_activation

# The device functions of function and gradient by name, and whether each takes the slope; the gradient of ReLU is
# that of a slope of 0.
ACTIVATIONS: dict[str, tuple[tuple[str, bool], tuple[str, bool]]] = {
    "relu": (("relu", False), ("leaky_relu_gradient", True)),
    "leaky_relu": (("leaky_relu", True), ("leaky_relu_gradient", True)),
    "tanh": (("tanh_forward", False), ("tanh_gradient", False)),
    "sigmoid": (("sigmoid", False), ("sigmoid_gradient", False)),
}


def elementwise_calls(kernels: KernelCache, function: str, size: int, parameters: list[KernelParameter]) -> Calls:
    """The launch of one device function for every index below `size`; no launch if `size` is 0."""
    if size == 0:
        return []
    return [(ElementwiseLaunch(kernels, ((DeviceFunction(function, size, tuple(parameters)),),)), (), {})]


def _elementwise(
    kernels: KernelCache,
    function: str,
    inputs: tuple[Array, ...],
    out: Array,
    extra: list[KernelParameter] | None = None,
) -> Calls:
    """The launch of a device function that computes element i of `out` from element i of each input."""
    target = kernels.view(out)
    sources = [parameter for array in inputs for parameter in reads(kernels.view(array), strided=True)]
    return elementwise_calls(
        kernels, function, target.size, [*sources, *writes(target, strided=True), *(extra or [])]
    )


def fill(kernels: KernelCache, target: Array, value: float) -> Calls:
    return _elementwise(kernels, "fill", (), target, scalar(target.dtype.type(value)))


def copy(kernels: KernelCache, source: Array, target: Array) -> Calls:
    return _elementwise(kernels, "copy", (source,), target)


def add(kernels: KernelCache, left: Array, right: Array, out: Array) -> Calls:
    return _elementwise(kernels, "add", (left, right), out)


def _device_functions(function: ActivationFunction) -> tuple[tuple[str, bool], tuple[str, bool]]:
    if function.name not in ACTIVATIONS:
        raise unknown_activation(function.name, ACTIVATIONS)
    return ACTIVATIONS[function.name]


def activation(kernels: KernelCache, function: ActivationFunction, x: Array, y: Array) -> Calls:
    device_function, takes_slope = _device_functions(function)[0]
    return _elementwise(kernels, device_function, (x,), y, scalar(x.dtype.type(function.slope)) * takes_slope)


def activation_gradient(
    kernels: KernelCache, function: ActivationFunction, y: Array, dy: Array, dx: Array
) -> Calls:
    device_function, takes_slope = _device_functions(function)[1]
    return _elementwise(kernels, device_function, (y, dy), dx, scalar(y.dtype.type(function.slope)) * takes_slope)


class CudaDropout:
    """Dropout, whose backward pass generates the same random numbers again."""

    def __init__(self, kernels: KernelCache, x: Array, y: Array, rate: float, key: int, rng_counter: Array) -> None:
        self._kernels, self._x, self._y, self._rng_counter = kernels, x, y, rng_counter
        self._key, self._threshold = np.uint32(key), np.uint32(min(round(rate * 2**32), 2**32 - 1))
        self._scale = x.dtype.type(1 / (1 - rate))

    def forward(self) -> Calls:
        return self._drop(self._x, self._y)

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        return [] if dx is None else self._drop(dy, dx)

    def _drop(self, source: Array, target: Array) -> Calls:
        given, out, rng_counter = (self._kernels.view(array) for array in (source, target, self._rng_counter))
        parameters = [
            *(*reads(given, strided=True), *writes(out, strided=True), *reads(rng_counter, random_access=True)),
            *(*scalar(self._key), *scalar(self._threshold), *scalar(self._scale), *fast_divisor(source.shape[-1])),
        ]
        return elementwise_calls(self._kernels, "dropout", out.size, parameters)


def softmax_cross_entropy(
    kernels: KernelCache, scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array, total: int
) -> Calls:
    """Raises ValueError for non-contiguous arrays; see Ops.softmax_cross_entropy."""
    logits, labels, probabilities, gradient = contiguous_views(kernels, scores, targets, votes, dscores)
    classes, batch = scores.shape
    parameters = [
        *(
            *reads(logits, random_access=True),
            *reads(labels, random_access=True),
            *writes(probabilities, random_access=True),
        ),
        *(*writes(kernels.view(loss), strided=True), *writes(gradient, random_access=True)),
        *(*ints(classes, batch), *scalar(scores.dtype.type(1 / total))),
    ]
    return elementwise_calls(kernels, "softmax_cross_entropy", batch, parameters)


def contiguous_views(kernels: KernelCache, *arrays: Array) -> list[ArrayView]:
    """Views of the arrays. Raises ValueError unless each is contiguous."""
    views = [kernels.view(array) for array in arrays]
    for view in views:
        if not view.is_contiguous:
            raise ValueError(f"This operation needs contiguous arrays; that of shape {view.array.shape} has gaps.")
    return views


class CudaHostInput:
    def __init__(self, kernels: KernelCache, target: Array) -> None:
        self._device = kernels.device
        self._host, pinned = kernels.device.pinned_array(tuple(target.shape), target.dtype)
        self.calls: Calls = copy(kernels, pinned, target)

    def write(self, values: HostArray) -> None:
        self._device.synchronize()
        np.copyto(self._host, values)


class CudaHostOutput:
    def __init__(self, kernels: KernelCache, sources: Sequence[Array]) -> None:
        self._device = kernels.device
        self._hosts: list[HostArray] = []
        self.calls: Calls = []
        for source in sources:
            host, pinned = kernels.device.pinned_array(tuple(source.shape), source.dtype)
            self._hosts.append(host)
            self.calls += copy(kernels, source, pinned)

    def read(self) -> list[HostArray]:
        self._device.synchronize()
        return [host.copy() for host in self._hosts]

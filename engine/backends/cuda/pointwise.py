"""Elementwise operations on a GPU: copies, sums, activations, dropout, softmax cross-entropy; transfers of
programs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.backends.cuda.arguments import Elementwise, Parameter, divisor, number, reads, whole, writes
from engine.backends.cuda.arrays import View
from engine.backends.cuda.launch import Kernels, Segments
from engine.backends.ops import Activation, Array, Calls, HostArray

_FORWARD = {"relu": "relu", "leaky_relu": "leaky_relu", "tanh": "tanh_forward", "sigmoid": "sigmoid"}
_BACKWARD = {
    "relu": "leaky_relu_gradient",
    "leaky_relu": "leaky_relu_gradient",
    "tanh": "tanh_gradient",
    "sigmoid": "sigmoid_gradient",
}


def calls_of(kernels: Kernels, function: str, size: int, parameters: list[Parameter]) -> Calls:
    """The launch of one device function for every index below `size`; no launch if `size` is 0."""
    if size == 0:
        return []
    return [(Segments(kernels, ((Elementwise(function, size, tuple(parameters)),),)), (), {})]


def _elementwise(
    kernels: Kernels, function: str, inputs: tuple[Array, ...], out: Array, extra: list[Parameter] | None = None
) -> Calls:
    """The launch of a device function that computes element i of `out` from element i of each input."""
    target = kernels.view(out)
    sources = [parameter for array in inputs for parameter in reads(kernels.view(array), strided=True)]
    return calls_of(kernels, function, target.size, [*sources, *writes(target, strided=True), *(extra or [])])


def fill(kernels: Kernels, target: Array, value: float) -> Calls:
    return _elementwise(kernels, "fill", (), target, number(target.dtype.type(value)))


def copy(kernels: Kernels, source: Array, target: Array) -> Calls:
    return _elementwise(kernels, "copy", (source,), target)


def add(kernels: Kernels, left: Array, right: Array, out: Array) -> Calls:
    return _elementwise(kernels, "add", (left, right), out)


def activation(kernels: Kernels, kind: Activation, x: Array, y: Array, slope: float) -> Calls:
    extra = number(x.dtype.type(slope)) if kind == "leaky_relu" else []
    return _elementwise(kernels, _FORWARD[kind], (x,), y, extra)


def activation_gradient(kernels: Kernels, kind: Activation, y: Array, dy: Array, dx: Array, slope: float) -> Calls:
    slope = 0.0 if kind == "relu" else slope
    extra = number(y.dtype.type(slope)) if kind in ("relu", "leaky_relu") else []
    return _elementwise(kernels, _BACKWARD[kind], (y, dy), dx, extra)


class Dropout:
    """Dropout, whose backward pass generates the same random numbers again."""

    def __init__(self, kernels: Kernels, x: Array, y: Array, rate: float, key: int, rng_counter: Array) -> None:
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
            *(*number(self._key), *number(self._threshold), *number(self._scale), *divisor(source.shape[-1])),
        ]
        return calls_of(self._kernels, "dropout", out.size, parameters)


def softmax_cross_entropy(
    kernels: Kernels, scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array, total: int
) -> Calls:
    """Raises ValueError for non-contiguous arrays; see Ops.softmax_cross_entropy."""
    logits, labels, probabilities, gradient = flat(kernels, scores, targets, votes, dscores)
    classes, batch = scores.shape
    parameters = [
        *(
            *reads(logits, random_access=True),
            *reads(labels, random_access=True),
            *writes(probabilities, random_access=True),
        ),
        *(*writes(kernels.view(loss), strided=True), *writes(gradient, random_access=True)),
        *(*whole(classes, batch), *number(scores.dtype.type(1 / total))),
    ]
    return calls_of(kernels, "softmax_cross_entropy", batch, parameters)


def flat(kernels: Kernels, *arrays: Array) -> list[View]:
    """Views of the arrays. Raises ValueError unless each is contiguous."""
    views = [kernels.view(array) for array in arrays]
    for view in views:
        if not view.contiguous:
            raise ValueError(f"This operation needs contiguous arrays; that of shape {view.array.shape} has gaps.")
    return views


class Inlet:
    def __init__(self, kernels: Kernels, target: Array) -> None:
        self._device = kernels.device
        self._host, pinned = kernels.device.shared(tuple(target.shape), target.dtype)
        self.calls: Calls = copy(kernels, pinned, target)

    def put(self, values: HostArray) -> None:
        self._device.wait()
        np.copyto(self._host, values)


class Outlet:
    def __init__(self, kernels: Kernels, sources: Sequence[Array]) -> None:
        self._device = kernels.device
        self._hosts: list[HostArray] = []
        self.calls: Calls = []
        for source in sources:
            host, pinned = kernels.device.shared(tuple(source.shape), source.dtype)
            self._hosts.append(host)
            self.calls += copy(kernels, source, pinned)

    def take(self) -> list[HostArray]:
        self._device.wait()
        return [host.copy() for host in self._hosts]

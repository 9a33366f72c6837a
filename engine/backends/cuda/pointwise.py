"""What a GPU does value by value: copies, sums, activations with their gradients, dropout, and the error of
scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.backends.cuda.arguments import Elementwise, Parameter, divisor, number, reads, whole, writes
from engine.backends.cuda.arrays import View
from engine.backends.cuda.launch import Kernels, Segments
from engine.backends.ops import Activation, Array, Calls, HostArray

_FORWARD = {"relu": "relu", "leaky_relu": "leaky_relu", "tanh": "tangent", "sigmoid": "sigmoid"}
_BACKWARD = {
    "relu": "leaky_relu_gradient",
    "leaky_relu": "leaky_relu_gradient",
    "tanh": "tangent_gradient",
    "sigmoid": "sigmoid_gradient",
}


def calls_of(kernels: Kernels, function: str, size: int, parameters: list[Parameter]) -> Calls:
    """The launch of one function for every number below `size`; none for none."""
    if size == 0:
        return []
    return [(Segments(kernels, ((Elementwise(function, size, tuple(parameters)),),)), (), {})]


def _valuewise(
    kernels: Kernels, function: str, inputs: tuple[Array, ...], out: Array, extra: list[Parameter] | None = None
) -> Calls:
    """A function that makes value i of `out` from value i of each input."""
    target = kernels.view(out)
    given = [each for array in inputs for each in reads(kernels.view(array), strided=True)]
    return calls_of(kernels, function, target.size, [*given, *writes(target, strided=True), *(extra or [])])


def fill(kernels: Kernels, target: Array, value: float) -> Calls:
    return _valuewise(kernels, "fill", (), target, number(target.dtype.type(value)))


def copy(kernels: Kernels, source: Array, target: Array) -> Calls:
    return _valuewise(kernels, "copy", (source,), target)


def add(kernels: Kernels, left: Array, right: Array, out: Array) -> Calls:
    return _valuewise(kernels, "add", (left, right), out)


def activation(kernels: Kernels, kind: Activation, x: Array, y: Array, slope: float) -> Calls:
    extra = number(x.dtype.type(slope)) if kind == "leaky_relu" else []
    return _valuewise(kernels, _FORWARD[kind], (x,), y, extra)


def activation_gradient(kernels: Kernels, kind: Activation, y: Array, dy: Array, dx: Array, slope: float) -> Calls:
    slope = 0.0 if kind == "relu" else slope
    extra = number(y.dtype.type(slope)) if kind in ("relu", "leaky_relu") else []
    return _valuewise(kernels, _BACKWARD[kind], (y, dy), dx, extra)


class Dropout:
    """See Operations.dropout. The coins of the way back are tossed anew: they are the same."""

    def __init__(self, kernels: Kernels, x: Array, y: Array, rate: float, key: int, rng_counter: Array) -> None:
        self._kernels, self._x, self._y, self._rng_counter = kernels, x, y, rng_counter
        self._key, self._least = np.uint32(key), np.uint32(min(round(rate * 2**32), 2**32 - 1))
        self._kept = x.dtype.type(1 / (1 - rate))

    def forward(self) -> Calls:
        return self._drop(self._x, self._y)

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        return [] if dx is None else self._drop(dy, dx)

    def _drop(self, source: Array, target: Array) -> Calls:
        given, out, rng_counter = (self._kernels.view(array) for array in (source, target, self._rng_counter))
        parameters = [
            *(*reads(given, strided=True), *writes(out, strided=True), *reads(rng_counter, anywhere=True)),
            *(*number(self._key), *number(self._least), *number(self._kept), *divisor(source.shape[-1])),
        ]
        return calls_of(self._kernels, "drop", out.size, parameters)


def softmax_cross_entropy(
    kernels: Kernels, scores: Array, targets: Array, votes: Array, loss: Array, dscores: Array, total: int
) -> Calls:
    """See Operations.softmax_cross_entropy. Raises ValueError for scores with gaps."""
    given, wanted, shares, slopes = flat(kernels, scores, targets, votes, dscores)
    classes, batch = scores.shape
    parameters = [
        *(*reads(given, anywhere=True), *reads(wanted, anywhere=True), *writes(shares, anywhere=True)),
        *(*writes(kernels.view(loss), strided=True), *writes(slopes, anywhere=True)),
        *(*whole(classes, batch), *number(scores.dtype.type(1 / total))),
    ]
    return calls_of(kernels, "softmax_cross_entropy", batch, parameters)


def flat(kernels: Kernels, *arrays: Array) -> list[View]:
    """The arrays as views. Raises ValueError unless each is one run of values."""
    views = [kernels.view(array) for array in arrays]
    for view in views:
        if not view.contiguous:
            raise ValueError(f"Values need to lie one after the other here; those of {view.array.shape} have gaps.")
    return views


class Inlet:
    def __init__(self, kernels: Kernels, target: Array) -> None:
        self._device = kernels.device
        self._host, passage = kernels.device.shared(tuple(target.shape), target.dtype)
        self.calls: Calls = copy(kernels, passage, target)

    def put(self, values: HostArray) -> None:
        """As soon as no run may still be reading."""
        self._device.wait()
        np.copyto(self._host, values)


class Outlet:
    def __init__(self, kernels: Kernels, sources: Sequence[Array]) -> None:
        self._device = kernels.device
        self._hosts: list[HostArray] = []
        self.calls: Calls = []
        for source in sources:
            host, passage = kernels.device.shared(tuple(source.shape), source.dtype)
            self._hosts.append(host)
            self.calls += copy(kernels, source, passage)

    def take(self) -> list[HostArray]:
        """Copies, once the run is done."""
        self._device.wait()
        return [host.copy() for host in self._hosts]

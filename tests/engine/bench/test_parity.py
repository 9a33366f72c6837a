"""Parity of two backends: equal ones agree, and every planted bug is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.backends import ActivationFunction, Calls, PoolSpec, UpdateArrays, choose_backend
from engine.backends.numpy import NumpyOps
from engine.backends.numpy.pooling import NumpyMaxPool
from engine.bench.cases import DEFAULT, LAYER_CASES, TINY, case_id
from engine.bench.parity import NOT_FINITE, compared_nets, parity
from engine.bench.report import ParityResult
from engine.documents import PRESETS

CPU = choose_backend("cpu")


def wrong(changed: type[NumpyOps], kind: str) -> set[str]:
    """The differences, over the layers whose name starts so, with these operations instead of NumPy's."""
    backend = replace(CPU, name="gpu", title="planted", operations=changed())
    cases = [case for case in LAYER_CASES if type(case[0]).__name__.startswith(kind)]
    return {case.what for case in parity(backend, CPU, cases, []) if not case.is_within}


def test_a_backend_agrees_with_itself_over_layers_and_nets() -> None:
    cases = list(parity(CPU, CPU, LAYER_CASES[::4], [TINY, DEFAULT]))
    assert {case.what for case in cases} == {
        "outputs",
        "scores at inference",
        "outputs read 3 times in a row",
        "errors",
        "gradients",
        "gradient in the picture",
        "parameters after 10 steps",
    }
    assert all(case.is_within and case.difference == 0 for case in cases)
    subjects = {case.subject for case in cases}
    assert {"tiny", "default", "tiny, batches of 64", "default, batches of 64"} <= subjects


def test_every_layer_and_preset_is_compared() -> None:
    models = {net.network for net in compared_nets()}
    assert all(preset.network in models for preset in PRESETS.values())
    given = [case.subject for case in parity(CPU, CPU, compared=[]) if case.what == "outputs"]
    assert given == [case_id(case) for case in LAYER_CASES]


class OffConvolution(NumpyOps):
    """Adds a little to every value of a convolution."""

    def convolution(self, *arguments: Any, **keywords: Any) -> Any:
        whole = super().convolution(*arguments, **keywords)
        forward, y = whole.forward, arguments[2]
        whole.forward = lambda: [*forward(), (np.add, (y, np.float32(3e-5)), {"out": y})]
        return whole


class LastWins(NumpyOps):
    """Gives the gradient of equal values to the last of them in row order."""

    def max_pool(self, x: Any, y: Any, spec: PoolSpec) -> Any:
        right, size = super().max_pool(x, y, spec), spec.size

        class Wrong:
            forward = staticmethod(right.forward)

            @staticmethod
            def backward(dy: Any, dx: Any) -> Calls:
                if dx is None or size > spec.stride or x.shape[1] % size or x.shape[2] % size:
                    return right.backward(dy, dx)
                turned = NumpyMaxPool(x[:, ::-1, ::-1], y[:, ::-1, ::-1], spec)
                return [*turned.forward(), *turned.backward(dy[:, ::-1, ::-1], dx[:, ::-1, ::-1])]

        return Wrong()


class LeakyAtZero(NumpyOps):
    """Passes the gradient where a ReLU's value is exactly 0."""

    def activation_gradient(self, function: ActivationFunction, y: Any, dy: Any, dx: Any) -> Calls:
        calls = super().activation_gradient(function, y, dy, dx)
        if function.name != "relu":
            return calls
        return [(np.multiply, (dy, np.float32(1)), {"out": dx, "where": y >= 0})]


class NoMomentum(NumpyOps):
    """Drops its velocity."""

    def sgd(self, arrays: UpdateArrays, momentum: float, nesterov: bool) -> Calls:
        return super().sgd(arrays, 0.0, nesterov)


class OtherCoins(NumpyOps):
    """Draws dropout's mask with another key."""

    def dropout(self, x: Any, y: Any, rate: float, key: int, point: Any) -> Any:
        return super().dropout(x, y, rate, key + 1, point)


class OldReading(NumpyOps):
    """Reads the outputs of the first pass again and again."""

    def host_output(self, sources: Any) -> Any:
        outlet = super().host_output(sources)
        read = outlet.read
        first: list[Any] = []

        def again() -> Any:
            first.append(read())
            return first[0]

        outlet.read = again
        return outlet


class WideTiles(NumpyOps):
    """Computes a convolution wrongly from batches of 64 on."""

    def convolution(self, *arguments: Any, **keywords: Any) -> Any:
        ops: NumpyOps = OffConvolution() if arguments[0].shape[-1] >= 64 else NumpyOps()
        return ops.convolution(*arguments, **keywords)


class NoNumber(NumpyOps):
    """Sigmoids that are NaN."""

    def activation(self, function: ActivationFunction, x: Any, y: Any) -> Calls:
        return [(y.fill, (np.nan,), {})] if function.name == "sigmoid" else super().activation(function, x, y)


@pytest.mark.parametrize(
    ("changed", "kind", "seen"),
    [
        (OffConvolution, "Conv2D", "outputs"),
        (OffConvolution, "Conv2D", "scores at inference"),
        (LastWins, "MaxPool2D", "gradient in the picture"),
        (LeakyAtZero, "ReLU", "gradient in the picture"),
        (NoMomentum, "Dense", "parameters after 10 steps"),
        (OtherCoins, "Dropout", "outputs"),
        (OldReading, "Conv2D", "outputs read 3 times in a row"),
        (NoNumber, "Sigmoid", "outputs"),
    ],
)
def test_a_wrong_operation_is_found(changed: type[NumpyOps], kind: str, seen: str) -> None:
    assert seen in wrong(changed, kind)


def test_a_tile_that_is_wrong_only_in_the_batches_of_training_is_found() -> None:
    backend = replace(CPU, name="gpu", title="planted", operations=WideTiles())
    cases = list(parity(backend, CPU, [], [TINY]))
    assert {case.subject for case in cases if not case.is_within} == {"tiny, batches of 64"}


def test_what_is_no_number_can_be_written_down() -> None:
    backend = replace(CPU, operations=NoNumber())
    cases = [case for case in LAYER_CASES if type(case[0]).__name__ == "Sigmoid"]
    found: list[ParityResult] = list(parity(backend, CPU, cases, []))
    assert max(case.share for case in found) == NOT_FINITE


def test_a_device_that_only_rounds_otherwise_is_fine() -> None:
    class Rounding(NumpyOps):
        def matmul(self, left: Any, right: Any, out: Any) -> Calls:
            nudge: Callable[..., object] = np.multiply
            return [*super().matmul(left, right, out), (nudge, (out, np.float32(1 + 1.2e-7)), {"out": out})]

    assert wrong(Rounding, "Dense") == set()

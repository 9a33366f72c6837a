"""The layer checks themselves: each of these bugs, planted in the operations, makes one of them fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.backends import Calls, choose_backend
from engine.backends.numpy import NumpyOps
from engine.bench.cases import LAYER_MODE_CASES
from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Conv2D,
    Dense,
    Dropout,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
    Sigmoid,
    Tanh,
)
from tests.engine.layer_checks import check_forward, check_gradient

CPU = choose_backend("cpu")


def then(function: Callable[..., object], *arguments: Any) -> Calls:
    """One more call."""
    return [(function, arguments, {})]


class Around:
    """A differentiable operation with something done after each direction."""

    def __init__(self, sound: Any, forth: Callable[[], Calls] | None = None, back: Any = None) -> None:
        self._sound, self._forth, self._back = sound, forth, back

    def forward(self) -> Calls:
        return self._sound.forward() + (self._forth() if self._forth else [])

    def backward(self, *arguments: Any) -> Calls:
        return self._sound.backward(*arguments) + (self._back(*arguments) if self._back else [])


class SkipForgotten(NumpyOps):
    def add(self, left, right, out):
        return then(np.copyto, out, left)


class SumSlightlyOff(NumpyOps):
    def matmul(self, left, right, out):
        return super().matmul(left, right, out) + then(np.multiply, out, 1 + 1e-9, out)


class CutBelowATenth(NumpyOps):
    def activation(self, function, x, y):
        return super().activation(function, x, y) + then(lambda: np.putmask(y, y < 0.1, 0))


class GradientPassesEveryCut(NumpyOps):
    def activation_gradient(self, function, y, dy, dx):
        return then(np.copyto, dx, dy)


class LeakForgotten(NumpyOps):
    def activation(self, function, x, y):
        return super().activation(replace(function, slope=0.0), x, y)


class LeakForgottenOnTheWayBack(NumpyOps):
    def activation_gradient(self, function, y, dy, dx):
        return super().activation_gradient(replace(function, slope=0.0), y, dy, dx)


class TanhForSigmoidOnTheWayBack(NumpyOps):
    def activation_gradient(self, function, y, dy, dx):
        other = replace(function, name="tanh" if function.name == "sigmoid" else "sigmoid")
        return super().activation_gradient(other, y, dy, dx)


class PoolMissesTheLastRow(NumpyOps):
    def max_pool(self, x, y, spec):
        rows = x.shape[1] - (spec.size > 2 and x.shape[1] > 1)
        return super().max_pool(x[:, :rows], y, spec)


class WinnerTakesALittleMoreThanAll(NumpyOps):
    def max_pool(self, x, y, spec):
        more = 1 + 1e-4
        return Around(super().max_pool(x, y, spec), None, lambda dy, dx: then(np.multiply, dx, more, dx))


class EdgeDividedByTheWholeWindow(NumpyOps):
    def average_pool(self, x, y, spec):
        def there(length: int, count: int) -> np.ndarray:
            starts = np.arange(count) * spec.stride
            return np.minimum(starts + spec.size, length) - starts

        share = np.outer(there(x.shape[1], y.shape[1]), there(x.shape[2], y.shape[2])) / spec.size**2
        return Around(super().average_pool(x, y, spec), lambda: then(np.multiply, y, share[..., None], y))


class GradientOfTheMeanNotDivided(NumpyOps):
    def global_average_pool(self, x, y):
        size = x.shape[1] * x.shape[2]
        return Around(super().global_average_pool(x, y), None, lambda dy, dx: then(np.multiply, dx, size, dx))


class FeaturesTurnedRound(NumpyOps):
    """Mathematical convolution in place of cross-correlation."""

    def convolution(self, x, matrix, y, spec):
        size = spec.kernel_size
        turned, taps = matrix.copy(), x.shape[0] * size * size

        def turn() -> None:
            np.copyto(turned, matrix)
            features = matrix[:, :taps].reshape(-1, x.shape[0], size, size)
            turned[:, :taps] = features[:, :, ::-1, ::-1].reshape(len(matrix), taps)

        sound = super().convolution(x, turned, y, spec)
        around = Around(sound)
        around.forward = lambda: then(turn) + sound.forward()
        return around


class DivisorForgotten(NumpyOps):
    def convolution(self, x, matrix, y, spec):
        return super().convolution(x, matrix, y, replace(spec, normalizer=1))


class BiasGetsNoGradient(NumpyOps):
    def convolution(self, x, matrix, y, spec):
        has_bias = matrix.shape[1] > x.shape[0] * spec.kernel_size**2
        return Around(
            super().convolution(x, matrix, y, spec),
            None,
            lambda dy, dx, dmatrix: then(dmatrix[:, -1].fill, 0) if has_bias and dmatrix is not None else [],
        )


class BatchTakenAsConstantOnTheWayBack(NumpyOps):
    """The gradient through mean and variance is left out."""

    def batch_norm(self, x, block, state, y, epsilon, training):
        def back(dy, dx, dblock) -> Calls:
            def fill() -> None:
                spread = np.sqrt(x.var((1, 2, 3)) + epsilon)
                np.multiply(dy, (block[0] / spread)[:, None, None, None], out=dx)

            return then(fill) if training else []

        return Around(super().batch_norm(x, block, state, y, epsilon, training), None, back)


class BatchNormalizedWhileReading(NumpyOps):
    def batch_norm(self, x, block, state, y, epsilon, training):
        return super().batch_norm(x, block, state, y, epsilon, True)


class EpsilonForgotten(NumpyOps):
    def batch_norm(self, x, block, state, y, epsilon, training):
        return super().batch_norm(x, block, state, y, 1e-12, training)


class DropoutNotScaled(NumpyOps):
    def dropout(self, x, y, rate, key, point):
        return Around(super().dropout(x, y, rate, key, point), lambda: then(np.multiply, y, 1 - rate, y))


class DropoutTossedByAnotherKey(NumpyOps):
    def dropout(self, x, y, rate, key, point):
        return super().dropout(x, y, rate, key + 1, point)


class DropoutForgottenOnTheWayBack(NumpyOps):
    def dropout(self, x, y, rate, key, point):
        return Around(super().dropout(x, y, rate, key, point), None, lambda dy, dx: then(np.copyto, dx, dy))


class ErrorDividedByOneTooMany(NumpyOps):
    def softmax_cross_entropy(self, scores, targets, votes, loss, dscores, total):
        return super().softmax_cross_entropy(scores, targets, votes, loss, dscores, total + 1)


@pytest.mark.parametrize(
    ("kind", "planted"),
    [
        (Residual, SkipForgotten),
        (Dense, SumSlightlyOff),
        (ReLU, CutBelowATenth),
        (ReLU, GradientPassesEveryCut),
        (LeakyReLU, LeakForgotten),
        (LeakyReLU, LeakForgottenOnTheWayBack),
        (Sigmoid, TanhForSigmoidOnTheWayBack),
        (Tanh, TanhForSigmoidOnTheWayBack),
        (MaxPool2D, PoolMissesTheLastRow),
        (MaxPool2D, WinnerTakesALittleMoreThanAll),
        (AvgPool2D, EdgeDividedByTheWholeWindow),
        (GlobalAvgPool, GradientOfTheMeanNotDivided),
        (Conv2D, FeaturesTurnedRound),
        (Conv2D, DivisorForgotten),
        (Conv2D, BiasGetsNoGradient),
        (BatchNorm2D, BatchTakenAsConstantOnTheWayBack),
        (BatchNorm2D, BatchNormalizedWhileReading),
        (BatchNorm2D, EpsilonForgotten),
        (Dropout, DropoutNotScaled),
        (Dropout, DropoutTossedByAnotherKey),
        (Dropout, DropoutForgottenOnTheWayBack),
        (Dense, ErrorDividedByOneTooMany),
    ],
)
def test_a_planted_bug_is_found(kind: type[Layer], planted: type[NumpyOps]) -> None:
    backend = replace(CPU, operations=planted())
    for layer, shape, training in LAYER_MODE_CASES:
        if type(layer) is kind:
            try:
                check_forward(layer, shape, training, backend)
                check_gradient(layer, shape, training, backend)
            except AssertionError:
                return
    pytest.fail(f"No check of {kind.__name__} noticed.")

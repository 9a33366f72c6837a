"""Checks of a layer on any backend: its definition (forward) and central differences (gradient)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.backends import Backend
from engine.bench.cases import network_around, random_parameters
from engine.nn import Network, Plan
from engine.nn.layers import Layer, Shape
from tests.engine import reference

# Large enough for float64 rounding, small enough for curvature; away from kinks the error is about 1e-9.
STEP = 1e-6


def make_plan(
    network: Network, backend: Backend, batch: int, values: dict[str, np.ndarray], **options: Any
) -> Plan:
    """A plan with these parameters, in float64 by default."""
    plan = Plan(network, backend, batch, **{"dtype": np.float64} | options)
    plan.load(values)
    return plan


def check_forward(
    layer: Layer, shape: Shape, training: bool, backend: Backend, dtype: type = np.float64, tolerance: float = 1e-12
) -> None:
    """The layer's output for three inputs equals its definition."""
    network = network_around(layer, shape)
    rng = np.random.default_rng(7)
    values = random_parameters(network, rng)
    images = rng.normal(0, 1, (3, *network.input_shape))
    plan = make_plan(network, backend, 3, values, dtype=dtype, keep_outputs=True, training=training, seed=5)
    plan.forward(images.astype(dtype))
    expected = reference.network_outputs(network, values, images, reference.PassMode(training, seed=5))
    for got, wanted in zip(plan.outputs(), expected, strict=True):
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, rtol=tolerance * 10, atol=tolerance)


def check_gradient(layer: Layer, shape: Shape, training: bool, backend: Backend) -> None:
    """The gradient in every parameter and every pixel equals the central difference of the mean loss."""
    network = network_around(layer, shape)
    rng = np.random.default_rng(11)
    values = random_parameters(network, rng)
    images = rng.normal(0, 1, (2, *network.input_shape))
    shares = np.array([[1.0, 0.0], [0.3, 0.7]])
    plan = make_plan(network, backend, 2, values, learn=True, input_gradient=True, training=training)

    def error() -> float:
        plan.forward(images)
        plan.backward(shares)
        return float(plan.host_losses.mean())

    error()
    gradients = plan.parameter_gradients() | {"input": plan.input_gradient()}
    for name, gradient in gradients.items():
        for place in np.ndindex(gradient.shape):
            target = images if name == "input" else values[name]
            kept = target[place]
            losses = []
            for nudge in (STEP, -STEP):
                target[place] = kept + nudge
                plan.load(values)
                losses.append(error())
            target[place] = kept
            slope = (losses[0] - losses[1]) / (2 * STEP)
            assert slope == pytest.approx(gradient[place], rel=0, abs=1e-6), (name, place)

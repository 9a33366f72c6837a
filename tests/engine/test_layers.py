"""Every layer, forward and backward, against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backend import choose_backend
from engine.layers import LAYERS, Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU, Shape
from engine.network import Network
from engine.plan import Plan
from tests.engine import reference
from tests.engine.layer_cases import CASES, name_of, random_values, with_head

CPU = choose_backend("cpu")


def plan_of(network: Network, values: dict[str, np.ndarray], batch: int, **options: object) -> Plan:
    plan = Plan(network, CPU, batch, dtype=np.float64, **options)
    plan.load(values)
    return plan


def test_every_layer_is_in_the_table_of_cases() -> None:
    assert {type(layer) for layer, _ in CASES} == set(LAYERS.values())


@pytest.mark.parametrize("case", CASES, ids=name_of)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_forward_equals_the_definition(
    case: tuple[Layer, Shape], training: bool, dtype: type, tolerance: float
) -> None:
    network = with_head(*case)
    rng = np.random.default_rng(7)
    values = random_values(network, rng)
    images = rng.normal(0, 1, (3, *network.input_shape))
    plan = Plan(network, CPU, 3, dtype=dtype, keep=True, training=training, seed=5)
    plan.load(values)
    plan.forward(images.astype(dtype))
    expected = reference.network_outputs(network, values, images, reference.Circumstances(training, seed=5))
    for got, wanted in zip(plan.outputs(), expected, strict=True):
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, rtol=tolerance * 10, atol=tolerance)


@pytest.mark.parametrize("case", CASES, ids=name_of)
@pytest.mark.parametrize("training", [True, False])
def test_gradient_equals_the_central_difference(case: tuple[Layer, Shape], training: bool) -> None:
    network = with_head(*case)
    rng = np.random.default_rng(11)
    values = random_values(network, rng)
    images = rng.normal(0, 1, (2, *network.input_shape))
    shares = np.array([[1.0, 0.0], [0.3, 0.7]])
    plan = plan_of(network, values, 2, learn=True, input_gradient=True, training=training)

    def error() -> float:
        plan.forward(images)
        plan.backward(shares)
        return float(plan.loss.mean())

    error()
    gradients = plan.parameter_gradients() | {"input": plan.input_gradient()}
    step = 1e-6
    for name, gradient in gradients.items():
        for place in np.ndindex(gradient.shape):
            target = images if name == "input" else values[name]
            kept = target[place]
            sides = []
            for nudge in (step, -step):
                target[place] = kept + nudge
                plan.load(values)
                sides.append(error())
            target[place] = kept
            assert (sides[0] - sides[1]) / (2 * step) == pytest.approx(gradient[place], abs=1e-6), (name, place)


@pytest.mark.parametrize("case", [case for case in CASES if isinstance(case[0], MaxPool2D)], ids=name_of)
def test_running_relu_after_the_pool_changes_nothing(case: tuple[Layer, Shape]) -> None:
    layer, shape = case
    network = Network((1, *shape[1:]), (Conv2D(shape[0], 3, padding=1), ReLU(), layer, Flatten(), Dense(2)))
    rng = np.random.default_rng(3)
    values = random_values(network, rng)
    images = np.round(rng.normal(0, 1, (4, *network.input_shape)))
    shares = np.full((4, 2), 0.5)
    plain, quick = (plan_of(network, values, 4, learn=True, keep=keep) for keep in (True, False))
    for plan in (plain, quick):
        plan.forward(images)
        plan.backward(shares)
    np.testing.assert_allclose(quick.scores, plain.scores, rtol=0, atol=1e-12)
    np.testing.assert_allclose(quick.gradients, plain.gradients, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (3, 3), (2, 1)])
def test_of_equal_values_the_first_in_row_order_wins(size: int, stride: int) -> None:
    network = Network((1, 6, 6), (MaxPool2D(size, stride), Flatten(), Dense(2)))
    values = {name: np.ones(shape) for name, shape in network.parameter_shapes.items()}
    values["03-dense.weight"][1] = -1
    plan = plan_of(network, values, 1, learn=True, input_gradient=True)
    plan.forward(np.ones((1, 1, 6, 6)))
    plan.backward(np.array([[0.0, 1.0]]))
    expected = np.zeros((6, 6))
    for row in range(network.shapes[1][1]):
        for column in range(network.shapes[1][2]):
            expected[row * stride, column * stride] += 1
    got = plan.input_gradient()[0, 0]
    np.testing.assert_allclose(got / got[0, 0] * expected[0, 0], expected, atol=1e-12)

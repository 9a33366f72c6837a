"""Every layer, forward and backward, against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.bench.cases import (
    LAYER_CASES,
    LAYER_MODE_CASES,
    case_id,
    mode_case_id,
    network_around,
    random_parameters,
)
from engine.nn import Network
from engine.nn.layers import (
    LAYERS,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Shape,
    Votes,
    group_by_layer,
)
from tests.engine import reference
from tests.engine.layer_checks import check_forward, check_gradient, make_plan

CPU = choose_backend("cpu")


def test_every_layer_is_in_the_table_of_cases() -> None:
    assert {type(layer) for layer, _ in LAYER_CASES} == set(LAYERS.values())


@pytest.mark.parametrize("case", LAYER_CASES, ids=case_id)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_forward_equals_the_definition(
    case: tuple[Layer, Shape], training: bool, dtype: type, tolerance: float
) -> None:
    check_forward(*case, training, CPU, dtype, tolerance)


@pytest.mark.parametrize(("layer", "shape", "training"), LAYER_MODE_CASES, ids=mode_case_id)
def test_gradient_equals_the_central_difference(layer: Layer, shape: Shape, training: bool) -> None:
    check_gradient(layer, shape, training, CPU)


@pytest.mark.parametrize("case", [case for case in LAYER_CASES if isinstance(case[0], MaxPool2D)], ids=case_id)
@pytest.mark.parametrize("cut", [ReLU(), LeakyReLU(0.3)], ids=["ReLU", "LeakyReLU"])
def test_running_a_cut_after_the_pool_changes_nothing(case: tuple[Layer, Shape], cut: Layer) -> None:
    layer, shape = case
    network = Network(
        (1, *shape[1:]), (Conv2D(shape[0], 3, padding=1), cut, layer, Flatten(), Dense(2)), classes=("X", "O")
    )
    rng = np.random.default_rng(3)
    values = random_parameters(network, rng)
    images = np.round(rng.normal(0, 1, (4, *network.input_shape)))
    shares = np.full((4, 2), 0.5)
    plain, quick = (make_plan(network, CPU, 4, values, learn=True, keep_outputs=keep) for keep in (True, False))
    for plan in (plain, quick):
        plan.forward(images)
        plan.backward(shares)
    np.testing.assert_allclose(quick.scores, plain.scores, rtol=0, atol=1e-12)
    np.testing.assert_allclose(quick.gradient_vector, plain.gradient_vector, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (3, 3), (2, 1)])
def test_of_equal_values_the_first_in_row_order_wins(size: int, stride: int) -> None:
    network = Network((1, 6, 6), (MaxPool2D(size, stride), Flatten(), Dense(2)), classes=("X", "O"))
    values = {name: np.ones(shape) for name, shape in network.parameter_shapes.items()}
    values["dense-1.weight"][1] = -1
    plan = make_plan(network, CPU, 1, values, learn=True, input_gradient=True)
    plan.forward(np.ones((1, 1, 6, 6)))
    plan.backward(np.array([[0.0, 1.0]]))
    expected = np.zeros((6, 6))
    for row in range(network.shapes[1][1]):
        for column in range(network.shapes[1][2]):
            expected[row * stride, column * stride] += 1
    got = plan.input_gradient()[0, 0]
    np.testing.assert_allclose(got / got[0, 0] * expected[0, 0], expected, atol=1e-12)


def made(layer: Layer, values: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """The output of the layer alone for one input at inference, by definition."""
    return reference.forward(layer, x[None], values)[0]


@pytest.mark.parametrize("case", LAYER_CASES, ids=case_id)
def test_what_a_layer_says_of_itself_is_true_of_its_definition(case: tuple[Layer, Shape]) -> None:
    """The traits that the window uses: whether channels are connected, and whether values can be negative."""
    layer, shape = case
    rng = np.random.default_rng(4)
    network = network_around(layer, shape)
    name = network.names[network.layers.index(layer, 1) + 1]
    values = group_by_layer(random_parameters(network, rng)).get(name, {})
    x = rng.normal(0, 1, shape)
    plain, bright = made(layer, values, x), made(layer, values, abs(x))
    if layer.traits.is_identity:
        np.testing.assert_array_equal(plain.ravel(), x.ravel())
    if not layer.traits.can_be_negative(False):
        assert bright.min() >= 0
    if not layer.traits.can_be_negative(True):
        assert plain.min() >= 0
    moved = x.copy()
    moved[-1] += 1  # one map, or one value of a vector
    changed = made(layer, values, moved) != plain
    if not layer.traits.connects_channels and len(changed) == len(x):
        assert not changed[:-1].any()
    elif layer.traits.connects_channels and len(x) > 1 and not isinstance(layer, Votes):
        assert changed[0].any()
    if layer.traits.is_elementwise:
        one = tuple(side // 2 for side in shape)
        moved = x.copy()
        moved[one] += 1
        changed = made(layer, values, moved) != plain
        changed[one] = False
        assert not changed.any()

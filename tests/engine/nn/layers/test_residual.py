"""Residual: the names of its parameters, and its skip connection, however deeply nested."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.bench.cases import random_parameters
from engine.documents import DEFAULT
from engine.explain import receptive_field
from engine.nn import Network
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU, Residual, Tanh
from tests.engine.layer_checks import make_plan

CPU = choose_backend("cpu")
BLOCK = Residual((Conv2D(2, 3, padding=1), BatchNorm2D(), ReLU(), Residual((Dropout(), Conv2D(2, 1)))))


def network_of(*layers: Layer) -> Network:
    return Network((2, 6, 5), (*layers, Flatten(), Dense(2)), classes=("X", "O"))


def test_its_parameters_are_named_by_their_place_in_it() -> None:
    network = network_of(Residual((Conv2D(2, 3, padding=1),)), ReLU(), BLOCK)
    shapes = {
        "residual-1.conv2d-1.weight": (2, 2, 3, 3),
        "residual-1.conv2d-1.bias": (2,),
        "residual-2.conv2d-1.weight": (2, 2, 3, 3),
        "residual-2.conv2d-1.bias": (2,),
        "residual-2.batchnorm2d-1.weight": (2,),
        "residual-2.batchnorm2d-1.bias": (2,),
        "residual-2.batchnorm2d-1.mean": (2,),
        "residual-2.batchnorm2d-1.variance": (2,),
        "residual-2.residual-1.conv2d-1.weight": (2, 2, 1, 1),
        "residual-2.residual-1.conv2d-1.bias": (2,),
        "dense-1.weight": (2, 60),
        "dense-1.bias": (2,),
    }
    assert network.parameter_shapes == shapes
    assert {name: values.shape for name, values in network.initial_parameters(0).items()} == shapes


def test_every_layer_inside_draws_its_own_weights() -> None:
    features = Conv2D(2, 3, padding=1)
    network = network_of(Residual((features, features)), Residual((features,)))
    weights = [
        value
        for name, value in network.initial_parameters(4).items()
        if name.endswith(".weight") and "residual" in name
    ]
    assert len({value.tobytes() for value in weights}) == 3
    assert all(0.1 < value.std() < 1 for value in weights)


def test_a_stack_whose_weights_are_0_passes_its_input_on() -> None:
    network = network_of(Residual((Conv2D(3, 3, padding=1), Tanh(), Conv2D(2, 3, padding=1))))
    values = {name: np.zeros(shape) for name, shape in network.parameter_shapes.items()}
    plan = make_plan(network, CPU, 2, values, keep_outputs=True)
    images = np.random.default_rng(1).normal(0, 1, (2, 2, 6, 5))
    plan.forward(images)
    np.testing.assert_array_equal(plan.outputs()[1], images)


def test_the_gradient_passes_by_a_stack_that_lets_nothing_through() -> None:
    """The gradient of the skip connection arrives whole: the layers inside add 0 where the last weights are 0."""
    network = network_of(Tanh(), Residual((Conv2D(2, 3, padding=1), ReLU(), Conv2D(2, 3, padding=1))))
    plain = network_of(Tanh())
    values = random_parameters(network, np.random.default_rng(2))
    values["residual-1.conv2d-2.weight"][...] = 0
    values["residual-1.conv2d-2.bias"][...] = 0
    alike = {"dense-1.weight": values["dense-1.weight"], "dense-1.bias": values["dense-1.bias"]}
    images, shares = np.random.default_rng(3).normal(0, 1, (2, 2, 6, 5)), np.array([[1.0, 0], [0.2, 0.8]])
    found = []
    for each, parameters in ((network, values), (plain, alike)):
        plan = make_plan(each, CPU, 2, parameters, learn=True, input_gradient=True)
        plan.forward(images)
        plan.backward(shares)
        found.append(plan.input_gradient())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
    assert abs(found[1]).max() > 0.01


def test_two_stacks_one_after_the_other_or_one_in_the_other_are_not_the_same() -> None:
    rng = np.random.default_rng(4)
    after = network_of(Residual((Conv2D(2, 1),)), Residual((Tanh(),)))
    within = network_of(Residual((Conv2D(2, 1), Residual((Tanh(),)))))
    kernel, bias, head = rng.normal(0, 1, (2, 2, 1, 1)), np.zeros(2), rng.normal(0, 1, (2, 60))
    image = rng.normal(0, 1, (1, 2, 6, 5))
    mixed = np.einsum("fc,nchw->nfhw", kernel[:, :, 0, 0], image)
    for network, start, expected in (
        (after, "residual-1", mixed + image + np.tanh(mixed + image)),
        (within, "residual-1", image + mixed + np.tanh(mixed)),
    ):
        values = {name: np.zeros(shape) for name, shape in network.parameter_shapes.items()}
        values |= {f"{start}.conv2d-1.weight": kernel, f"{start}.conv2d-1.bias": bias}
        values[f"{network.names[-1]}.weight"] = head
        plan = make_plan(network, CPU, 1, values, keep_outputs=True)
        plan.forward(image)
        np.testing.assert_allclose(plan.outputs()[-3], expected, rtol=1e-12)


def test_frozen_as_a_whole_it_gets_no_gradient_but_passes_one_on() -> None:
    network = network_of(Conv2D(2, 1), BLOCK)
    values = random_parameters(network, np.random.default_rng(5))
    plan = make_plan(network, CPU, 2, values, learn=True, frozen=("residual-1",))
    plan.forward(np.random.default_rng(6).normal(0, 1, (2, 2, 6, 5)))
    plan.backward(np.array([[1.0, 0], [0, 1.0]]))
    for name, gradient in plan.parameter_gradients().items():
        assert gradient.any() is not name.startswith("residual-1"), name


def test_a_description_holds_the_layers_inside() -> None:
    network = network_of(BLOCK, Residual((BLOCK, ReLU())))
    data = json.loads(json.dumps(network.to_json()))
    assert data["layers"][0]["layers"][1] == {
        "id": "batchnorm2d-1",
        "layer": "BatchNorm2D",
        "momentum": 0.1,
        "epsilon": 1e-5,
    }
    back = Network.from_json(data)
    assert back == network
    assert hash(back) == hash(network)


def test_a_value_reads_what_the_stack_reads_and_what_skips_it() -> None:
    tall = Residual((Conv2D(2, 3, padding=1), ReLU(), Conv2D(2, 3, padding=1)))
    assert receptive_field(network_of(tall), 1, 2, 0)[0] == (range(5), range(3))
    # A pool of size 1: the layers inside read the same cell as the skip connection.
    assert receptive_field(network_of(Residual((MaxPool2D(1, 1),))), 1, 2, 3)[0] == (range(2, 3), range(3, 4))


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ((0, 0), (range(0, 1), range(0, 1))),
        ((0, 2), (range(0, 1), range(2, 3))),
        ((2, 3), (range(1, 3), range(3, 4))),
        ((4, 3), (range(4, 6), range(3, 4))),
        ((2, 1), (range(2, 3), range(1, 2))),
    ],
)
def test_where_the_stack_sees_only_padding_the_skip_is_all_that_is_read(
    cell: tuple[int, int], read: tuple[range, range]
) -> None:
    """In each direction, cells 0 to 5 of the layers inside read -3, -1, 1, 3, 5 and 7."""
    stack = Residual((Conv2D(2, 1, padding=3), Conv2D(2, 1, stride=2)))
    assert stack.output_shape((2, 6, 6)) == (2, 6, 6)
    row, column = cell
    assert stack.receptive_range((2, 6, 6), range(row, row + 1), range(column, column + 1)) == read


def test_what_lies_below_a_value_in_the_padding_is_not_read_either() -> None:
    """The lowest kernels are wide: their windows would reach into the map again."""
    stack = Residual((Conv2D(2, 9, padding=4), Conv2D(2, 1, padding=3), Conv2D(2, 1, stride=2)))
    assert stack.output_shape((2, 6, 6)) == (2, 6, 6)
    assert stack.receptive_range((2, 6, 6), range(1), range(1)) == (range(1), range(1))


def test_a_list_keeps_a_skip_too() -> None:
    network = Network((1, 2, 3), (Flatten(), Residual((Dense(4), Tanh(), Dense(6))), Dense(2)), classes=("X", "O"))
    assert network.shapes == ((1, 2, 3), (6,), (6,), (2,))
    assert receptive_field(network, 2, 0, 0)[:2] == [None, None]


def test_the_default_network_gains_a_stack_without_losing_its_costs() -> None:
    layers = DEFAULT.network.layers
    stack = Residual((Conv2D(8, 3, padding=1), ReLU()))
    network = Network((1, 48, 48), (*layers[:3], stack, *layers[3:]), classes=("X", "O"))
    assert [cost for place, cost in enumerate(network.costs) if place != 3] == list(DEFAULT.network.costs)
    assert network.costs[3].parameters == 8 * 8 * 9 + 8
    assert network.costs[3].multiplies == 8 * 8 * 9 * 24 * 24

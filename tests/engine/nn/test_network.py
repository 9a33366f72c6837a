"""Network: its JSON, its parameters and its reproducible initialization."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.documents import presets
from engine.nn import Network, Plan
from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Center,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LeakyReLU,
    ReLU,
    Residual,
    ShapeError,
    Sigmoid,
    Tanh,
)

DEFAULT = presets.DEFAULT.network


@pytest.mark.parametrize("preset", presets.PRESETS.values(), ids=lambda preset: preset.name)
def test_json_describes_a_network_completely(preset: presets.Preset) -> None:
    text = json.dumps(preset.network.to_json())
    assert Network.from_json(json.loads(text)) == preset.network


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: d.pop("classes"), "'classes' is missing"),
        (lambda d: d.update(classes=["X", "X"]), "different classes"),
        (lambda d: d.update(classes=[1, 2]), "describe"),
        (lambda d: d.update(vote="shout"), "describe"),
        (lambda d: d.update(input_shape=[1, 32]), "describe"),
        (lambda d: d.update(input_shape=[1, 32, 1.5]), "describe"),
        (lambda d: d.update(layers=[]), "at least one layer"),
        (lambda d: d.update(layers=7), "describe"),
        (lambda d: d.update(layers={"0": {"layer": "ReLU"}}), "describe"),
    ],
)
def test_a_spoiled_description_is_one_sentence(spoil: object, words: str) -> None:
    """Errors in a layer's own JSON are tested in test_hyperparameters.py."""
    data = json.loads(json.dumps(DEFAULT.to_json()))
    spoil(data)
    with pytest.raises(ValueError, match=words) as error:
        Network.from_json(data)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


def test_initial_parameters_follow_the_seed() -> None:
    first, again, other = (
        DEFAULT.initial_parameters(1),
        DEFAULT.initial_parameters(1),
        DEFAULT.initial_parameters(2),
    )
    assert {n: v.tobytes() for n, v in first.items()} == {n: v.tobytes() for n, v in again.items()}
    assert not np.array_equal(first["conv2d-1.weight"], other["conv2d-1.weight"])
    assert all(values.dtype == np.float32 for values in first.values())


@pytest.mark.parametrize("preset", presets.PRESETS.values(), ids=lambda preset: preset.name)
def test_parameter_shapes_are_those_of_fresh_parameters(preset: presets.Preset) -> None:
    network = preset.network
    assert network.parameter_shapes == {
        name: values.shape for name, values in network.initial_parameters(0).items()
    }


def test_initial_weights_have_the_spread_of_he() -> None:
    weights = DEFAULT.initial_parameters(5)["dense-1.weight"]
    assert weights.std() == pytest.approx(np.sqrt(2 / 864), rel=0.02)
    np.testing.assert_allclose(weights.sum(axis=1), 0, atol=1e-5)


@pytest.mark.parametrize(("mean", "scale"), [(False, 1), (True, 75)])
def test_initial_features_match_as_strongly_whether_products_are_summed_or_averaged(mean: bool, scale: int) -> None:
    values = Conv2D(200, 5, mean=mean).initial_parameters((3, 9, 9), np.random.default_rng(1))
    assert values["weight"].std() == pytest.approx(scale * np.sqrt(2 / 75), rel=0.02)
    np.testing.assert_array_equal(values["bias"], np.zeros(200))


def test_parameter_count_and_multiplies_of_the_default_network() -> None:
    assert sum(cost.parameters for cost in DEFAULT.costs) == 32_602
    assert sum(cost.multiplies for cost in DEFAULT.costs) == 460_800 + 663_552 + 497_664 + 27_648 + 64


def test_multiplies_of_the_walk_through() -> None:
    multiplies = [cost.multiplies for cost in presets.WALKTHROUGH.network.costs]
    assert multiplies == [3 * (9 + 1) * 49, 0, 0, 0, 0, 2]


def test_which_values_share_a_scale_and_which_can_be_below_0() -> None:
    stack = Residual((Conv2D(3, 1), Tanh()))
    layers = (Center(), Conv2D(3), ReLU(), AvgPool2D(), BatchNorm2D(), LeakyReLU(), Residual((ReLU(),)), stack)
    tail = (Sigmoid(), Dropout(), GlobalAvgPool(), Tanh(), Dense(4), ReLU(), Dense(2))
    network = Network((1, 9, 9), (*layers, *tail), classes=("X", "O"))
    assert network.scale_sources == (0, 0, 2, 2, 2, 5, 5, 5, 8, 9, 9, 9, 12, 13, 13, 15)
    signed = [name for name, can in zip(network.names, network.can_be_negative, strict=True) if can]
    assert signed == [
        "input", "center-1", "conv2d-1", "batchnorm2d-1", "leakyrelu-1", "residual-1", "residual-2",
        "dense-1", "dense-2",
    ]  # fmt: skip


def test_wrong_parameters_are_named() -> None:
    values = DEFAULT.initial_parameters(1)
    with pytest.raises(ShapeError, match=r"dense-1.bias .* missing"):
        DEFAULT.check_parameters({name: v for name, v in values.items() if name != "dense-1.bias"})
    with pytest.raises(ShapeError, match=r"conv2d-1.weight to be 8 × 1 × 5 × 5, but it is 8 × 1 × 3 × 3"):
        DEFAULT.check_parameters(values | {"conv2d-1.weight": np.zeros((8, 1, 3, 3), np.float32)})
    with pytest.raises(ShapeError, match="to be 2 × 32, but it is 32 × 2"):
        DEFAULT.check_parameters(values | {"dense-2.weight": np.zeros((32, 2), np.float32)})
    with pytest.raises(ShapeError, match="no parameter tail-9"):
        DEFAULT.check_parameters(values | {"tail-9": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match=r"dense-1.bias .* not finite"):
        DEFAULT.check_parameters(values | {"dense-1.bias": np.full(32, np.nan, np.float32)})


def test_a_thousand_layers_are_built_and_run() -> None:
    deep = Network(
        (1, 4, 4), (Conv2D(1, 3, padding="same"), ReLU()) * 499 + (Flatten(), Dense(2)), classes=("X", "O")
    )
    assert Network.from_json(deep.to_json()) == deep
    plan = Plan(deep, choose_backend("cpu"), 1, learn=True)
    plan.load(deep.initial_parameters(1))
    plan.forward(np.ones((1, 1, 4, 4), np.float32))
    plan.backward(np.full((1, 2), 0.5))
    assert len(plan.parameter_gradients()) == 1000

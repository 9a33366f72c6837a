"""The difference of two predictions: second minus first, for the layers that match."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.explain import ModelDifference
from engine.explain.model_difference import matching_layers
from engine.nn import Activations, Model, Network, Prediction, Predictor
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Tanh

CPU = choose_backend("cpu")


def network(rng: np.random.Generator, features: int, bend: ReLU | Tanh) -> Network:
    size = int(rng.integers(2, 5))
    layers = (Conv2D(features, size), bend, MaxPool2D(), Conv2D(3, 2), Flatten(), Dense(4), ReLU(), Dense(2))
    return Network((1, 12, 12), layers, classes=("X", "O"))


def read(one: Network, seed: int, picture: np.ndarray) -> Prediction:
    return Predictor(Model(str(seed), one, one.initial_parameters(seed)), CPU).predict(picture)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_subtraction_of_two_plain_readings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = network(rng, 4, ReLU())
    picture = rng.uniform(-1, 1, (12, 12)).astype(np.float32)
    made = ModelDifference.between(read(one, seed, picture), read(one, seed + 50, picture))
    assert made.layers == frozenset(range(len(one.shapes)))
    first, second = (read(one, which, picture).activations for which in (seed, seed + 50))
    for layer in made.layers:
        np.testing.assert_array_equal(made.values(layer), np.subtract(second[layer], first[layer]))
        assert made.largest(layer) == np.abs(second[layer] - first[layer]).max()
    assert made.largest(0) == 0
    assert made.largest(1) > 0
    weights = [np.asarray(one.initial_parameters(which)["conv2d-1.weight"]) for which in (seed, seed + 50)]
    np.testing.assert_array_equal(made.weights(1), weights[1] - weights[0])
    assert made.weights(2) is None


def test_only_layers_of_equal_place_and_shape_match() -> None:
    rng = np.random.default_rng(3)
    four, other = (
        network(rng, 4, ReLU()),
        Network((1, 12, 12), (Conv2D(6, 3), ReLU(), MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O")),
    )
    bent = Network(
        four.input_shape, tuple(Tanh() if isinstance(one, ReLU) else one for one in four.layers), classes=("X", "O")
    )
    assert matching_layers(four, bent) == frozenset(range(9))
    # Another number of features: the input, and what no longer depends on how many they are.
    six = Network(four.input_shape, (Conv2D(6, four.layers[0].size), *four.layers[1:]), classes=("X", "O"))
    assert matching_layers(four, six) == {0, 4, 5, 6, 7, 8}
    # Two scores at the end of each, but not at the same place.
    assert matching_layers(four, other) == {0}
    classes = Network(four.input_shape, four.layers, ("yes", "no"))
    assert matching_layers(four, classes) == frozenset(range(8))
    assert matching_layers(four, Network((1, 9, 9), (Flatten(), Dense(2)), classes=("X", "O"))) == frozenset()
    made = ModelDifference.between(
        read(four, 1, np.ones((12, 12), np.float32)), read(six, 1, np.ones((12, 12), np.float32))
    )
    with pytest.raises(KeyError):
        made.values(1)
    assert made.weights(1) is None


def test_what_only_rounding_tells_apart_is_the_same_and_what_is_no_number_is_passed_over() -> None:
    rng = np.random.default_rng(4)
    one = network(rng, 4, ReLU())
    prediction = read(one, 1, rng.uniform(-1, 1, (12, 12)).astype(np.float32))
    rounded = [values * np.float32(1 + 1e-7) for values in prediction.activations]
    rounded[3] = prediction.activations[3] + np.float32(0.01)
    rounded[5] = np.full_like(prediction.activations[5], np.nan)
    made = ModelDifference.between(
        prediction,
        Prediction(
            prediction.model,
            Activations.from_arrays(rounded),
            prediction.votes,
            prediction.predicted_class,
            prediction.layer_seconds,
        ),
    )
    assert [made.largest(layer) for layer in (1, 2, 4, 5)] == [0, 0, 0, 0]
    assert made.largest(3) == pytest.approx(0.01, rel=1e-3)

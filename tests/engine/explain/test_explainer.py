"""The explainer between two requests: a result never outlives the network and the picture it is of."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import numpy_backend
from engine.explain import ExplanationKind, ExplanationQuery
from engine.nn import Model, Network, Prediction, Predictor
from engine.nn.layers import Conv2D, Dense, Flatten, ReLU
from tests.engine.query_driver import QueryDriver


def model_of(side: int, seed: int = 0) -> Model:
    network = Network((1, side, side), (Conv2D(2, 3), ReLU(), Flatten(), Dense(2)), classes=("X", "O"))
    return Model(f"of {side}", network, network.initial_parameters(seed))


def predict(model: Model, picture: np.ndarray) -> Prediction:
    return Predictor(model, numpy_backend("a test")).predict(picture)


def noise(side: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (side, side)).astype(np.float32)


def finish(explainer: QueryDriver) -> None:
    while explainer.busy:
        explainer.run_for(0.05)


@pytest.mark.parametrize("kind", ["flip", "occlusion", "gradient"])
def test_the_map_of_one_network_is_never_shown_with_another(kind: ExplanationKind) -> None:
    explainer, query = QueryDriver(), ExplanationQuery(kind)
    for side in (24, 9, 24):
        prediction = predict(model_of(side), noise(side))
        explainer.set_query(query, (prediction,), settled=True)
        result = explainer.result
        assert result is None or result.map is None or result.map.shape == (side, side)
        finish(explainer)
        assert explainer.result is not None
        assert explainer.result.map is not None
        assert explainer.result.map.shape == (side, side)


def test_a_slow_result_ends_with_the_picture_it_is_of() -> None:
    explainer, query, model = QueryDriver(), ExplanationQuery("flip"), model_of(9)
    explainer.set_query(query, (predict(model, noise(9)),), settled=True)
    finish(explainer)
    explainer.set_query(query, (predict(model, noise(9, 2)),), settled=True)
    assert explainer.result is None


@pytest.mark.parametrize("kind", ["flip", "occlusion", "ablation"])
def test_weights_edited_while_a_slow_query_runs_are_the_ones_explained(kind: ExplanationKind) -> None:
    query, picture, first, second = ExplanationQuery(kind, layer=1), noise(9), model_of(9), model_of(9, seed=5)
    expected, explainer = QueryDriver(), QueryDriver()
    expected.set_query(query, (predict(second, picture),), settled=True)
    finish(expected)
    explainer.set_query(query, (predict(first, picture),), settled=True)
    explainer.run_for(0.0)
    explainer.set_query(query, (predict(second, picture),), settled=True)
    finish(explainer)
    made, wanted = explainer.result, expected.result
    assert made is not None
    assert wanted is not None
    assert made.ablations == wanted.ablations
    np.testing.assert_array_equal(np.asarray(made.map, float), np.asarray(wanted.map, float))

"""Weight editing: exactly the edited values change, and the engine computes with them."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.documents import ARTICLE_KERNELS, WALKTHROUGH, Document
from engine.documents.presets import handmade_parameters
from engine.nn import Model, Network, Predictor, weight_editing
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Flatten, MaxPool2D, ReLU, Residual, Votes
from engine.runtime import Request, Runner

NETWORK = Network(
    (1, 8, 8),
    (Conv2D(3, 3), BatchNorm2D(), ReLU(), MaxPool2D(), Flatten(), Dense(6), ReLU(), Dense(2)),
    classes=("X", "O"),
)
OWNERS = [(0, None), (1, 1), (2, 1), (3, 1), (4, 1), (5, None), (6, 6), (7, 6), (8, 8)]
SUBJECT = Model("some", NETWORK, NETWORK.initial_parameters(1), origin={"recipe": {"seed": 1}})


@pytest.mark.parametrize(("layer", "owner"), OWNERS)
def test_a_value_owes_itself_to_the_last_weights_below_it_on_its_own_map(layer: int, owner: int | None) -> None:
    assert weight_editing.weight_layer_of(NETWORK, layer) == owner


def test_hand_made_votes_and_stacks_have_no_weights_of_their_own() -> None:
    network = Network((1, 4, 4), (Residual((Conv2D(1, 1),)), Flatten(), Votes(((0,), (1,)))), classes=("X", "O"))
    assert weight_editing.weight_layer_of(network, 1) is None
    assert weight_editing.weight_layer_of(network, 3) is None


def test_one_weight_of_one_feature_changes_and_nothing_else() -> None:
    weights = weight_editing.kernel_slices(SUBJECT, 1, 2)
    weights[0, 1, 2] = 5.0
    changed = weight_editing.with_kernel_slices(SUBJECT, 1, 2, weights)
    difference = changed.parameters["conv2d-1.weight"] != SUBJECT.parameters["conv2d-1.weight"]
    assert np.argwhere(difference).tolist() == [[2, 0, 1, 2]]
    same = set(SUBJECT.parameters) - {"conv2d-1.weight"}
    assert all(changed.parameters[name] is SUBJECT.parameters[name] for name in same)
    assert (changed.origin, changed.run_point) == ({}, None), "no longer what training made"
    assert SUBJECT.parameters["conv2d-1.weight"][2, 0, 1, 2] != 5.0


def test_the_weights_of_a_list_lie_as_its_maps_or_in_rows() -> None:
    weights = weight_editing.kernel_slices(SUBJECT, 6, 4)
    assert weights.shape == (3, 3, 3)
    assert weights[2, 0, 1] == SUBJECT.parameters["dense-1.weight"][4, 2 * 9 + 1]
    assert weight_editing.kernel_slices(SUBJECT, 8, 0).shape == (1, 1, 6)
    back = weight_editing.with_kernel_slices(SUBJECT, 6, 4, weights)
    np.testing.assert_array_equal(back.parameters["dense-1.weight"], SUBJECT.parameters["dense-1.weight"])


def test_a_feature_switched_off_gives_an_empty_map() -> None:
    model = Model("walk", WALKTHROUGH.network, handmade_parameters())
    off = weight_editing.ablated(weight_editing.with_bias(model, 1, 1, 0.5), 1, 1)
    assert weight_editing.is_ablated(off, 1, 1)
    assert not weight_editing.is_ablated(off, 1, 0)
    maps = (
        Predictor(off, choose_backend("cpu"))
        .predict(np.random.default_rng(0).uniform(-1, 1, (9, 9)).astype(np.float32))
        .activations[1]
    )
    assert not maps[1].any()
    assert maps[0].any()


def test_a_kernel_is_restored_in_the_model_that_it_was_ablated_in() -> None:
    both = weight_editing.ablated(weight_editing.ablated(SUBJECT, 1, 1), 1, 2)
    edited = weight_editing.with_bias(both, 1, 0, 0.25)
    on = weight_editing.restored(edited, 1, 1)
    assert on is not None
    assert weight_editing.bias_of(on, 1, 0) == 0.25
    assert weight_editing.is_ablated(on, 1, 2)
    for part in ("weight", "bias"):
        name = f"conv2d-1.{part}"
        np.testing.assert_array_equal(on.parameters[name][1], SUBJECT.parameters[name][1])
    assert weight_editing.restored(SUBJECT, 1, 1) is None


@pytest.mark.parametrize("mean", [True, False])
def test_a_normalised_feature_matches_itself_with_one(mean: bool) -> None:
    weights = np.random.default_rng(3).standard_normal((2, 3, 3)).astype(np.float32)
    network = Network((2, 3, 3), (Conv2D(1, 3, mean=mean, bias=False), Flatten(), Dense(2)), classes=("X", "O"))
    model = weight_editing.with_kernel_slices(
        Model("one", network, network.initial_parameters(0)), 1, 0, weight_editing.normalized_kernel(weights, mean)
    )
    own = weight_editing.kernel_slices(model, 1, 0)
    matched = float((own * own).sum()) / (own.size if mean else 1)
    assert matched == pytest.approx(1.0, rel=1e-6)
    np.testing.assert_allclose(own / own[0, 0, 0], weights / weights[0, 0, 0], rtol=1e-5)
    assert not weight_editing.normalized_kernel(np.zeros((1, 2, 2), np.float32), mean).any()


def test_the_articles_features_are_normalised_already() -> None:
    np.testing.assert_allclose(weight_editing.normalized_kernel(ARTICLE_KERNELS[1], mean=True), ARTICLE_KERNELS[1])


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        weight_editing.with_bias(SUBJECT, 1, 0, float("nan"))


def test_the_runner_reads_by_changed_weights_with_the_reader_it_has() -> None:
    runner, document = Runner("cpu"), Document.blank(SUBJECT)
    before = runner.compute(Request(1, document)).predictions[0]
    changed = weight_editing.with_bias(SUBJECT, 8, 1, 3.0)
    after = runner.compute(Request(2, Document.blank(changed))).predictions[0]
    assert after.model is changed
    assert after.activations[-1][1] == pytest.approx(before.activations[-1][1] + 3.0, abs=1e-5)
    both = runner.compute(Request(3, Document.blank(SUBJECT, changed))).predictions
    assert [prediction.model for prediction in both] == [SUBJECT, changed]
    assert both[0].activations[-1][1] == pytest.approx(before.activations[-1][1], abs=1e-6)
    assert both[1].activations[-1][1] == pytest.approx(after.activations[-1][1], abs=1e-6)

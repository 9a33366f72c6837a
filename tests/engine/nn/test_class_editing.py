"""Editing the classes of a model: kept classes are voted for as before, new ones have fresh weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backends import choose_backend
from engine.documents import WALKTHROUGH, shipped_model
from engine.nn import BatchPredictor, Model, with_classes
from engine.nn.layers import Dense
from tests.engine.random_networks import random_network


def scores(model: Model, images: np.ndarray) -> np.ndarray:
    predictor = BatchPredictor(model.network, choose_backend("cpu"), 2)
    predictor.load(model.parameters)
    return predictor.scores(images)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.sampled_from([0, 1, None]), min_size=2, max_size=20))
def test_kept_classes_have_the_same_scores_and_all_other_weights_stay(seed: int, kept: list[int | None]) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    if not isinstance(network.layers[-1], Dense):
        return
    before = Model("A", network, network.initial_parameters(seed))
    classes = tuple(f"class {at}" for at in range(len(kept)))
    after = with_classes(before, classes, kept, 7)
    assert (after.network.classes, after.network.ids, after.run_point) == (classes, network.ids, None)
    assert after.fresh_classes == tuple(name for name, at in zip(classes, kept, strict=True) if at is None)
    last = f"{network.ids[-1]}."
    for name, values in before.parameters.items():
        if not name.startswith(last):
            assert after.parameters[name] is values
    images = rng.uniform(-1, 1, (2, *network.input_shape)).astype(np.float32)
    old, new = scores(before, images), scores(after, images)
    for place, at in enumerate(kept):
        if at is not None:
            np.testing.assert_allclose(new[:, place], old[:, at], rtol=1e-4, atol=1e-4)


def test_new_classes_differ_from_each_other_and_are_the_same_with_the_same_seed() -> None:
    network = random_network(np.random.default_rng(4))
    network = replace(network, layers=(*network.layers[:-1], Dense(2)), ids=())
    model = Model("A", network, network.initial_parameters(1))
    classes = ("X", "O", "star", "moon")
    one, again = (with_classes(model, classes, (0, 1, None, None), 3).parameters for _ in range(2))
    (weight,) = (name for name in one if name == f"{network.ids[-1]}.weight")
    assert one[weight].tobytes() == again[weight].tobytes()
    assert not np.array_equal(one[weight][2], one[weight][3])
    later = with_classes(with_classes(model, classes, (0, 1, None, None), 3), ("moon", "X"), (3, 0), 3)
    assert later.fresh_classes == ("moon",), "still fresh after another edit"


def test_the_walkthrough_changes_the_order_of_its_classes_and_gets_no_new_one() -> None:
    model = shipped_model(WALKTHROUGH.name)
    image = np.random.default_rng(1).uniform(-1, 1, (1, 1, 9, 9)).astype(np.float32)
    swapped = with_classes(model, ("O", "X"), (1, 0), 1)
    np.testing.assert_array_equal(scores(swapped, image)[:, ::-1], scores(model, image))
    with pytest.raises(ValueError, match="without a Dense layer it cannot be changed to 3"):
        with_classes(model, ("X", "O", "star"), (0, 1, None), 1)

"""Prediction: the predicted class, blank canvases included, and which models can read drawings."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.nn import (
    BLANK_INK,
    BatchPredictor,
    Model,
    Network,
    Predictor,
    compute_votes,
    is_blank_picture,
    predict_class,
)
from engine.nn.inference import with_input_and_scores
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU, ShapeError

NETWORK = Network((1, 10, 10), (Flatten(), Dense(2)), classes=("X", "O"))
SUBJECT = Model("Plain", NETWORK, NETWORK.initial_parameters(1), threshold=0.8)
INKED = np.ones((10, 10), np.float32)


def votes(*shares: float) -> np.ndarray:
    return np.array(shares, np.float32)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((0.9, 0.1), "X"),
        ((0.1, 0.9), "O"),
        ((0.79, 0.21), "unsure"),
        ((np.float32(0.8) + np.float32(1e-6), 0.2), "X"),
        ((np.nan, np.nan), "unsure"),
        ((np.inf, 0), "unsure"),
    ],
)
def test_the_verdict_is_the_top_vote_unless_it_is_below_the_threshold(
    shares: tuple[float, float], expected: str
) -> None:
    assert predict_class(SUBJECT, votes(*shares), is_blank_picture(INKED)) == expected


def test_a_vote_that_equals_the_threshold_is_enough() -> None:
    assert predict_class(replace(SUBJECT, threshold=0.75), votes(0.75, 0.25), is_blank_picture(INKED)) == "X"


@pytest.mark.parametrize(("pixels", "expected"), [(2, "unsure"), (3, "X")])
def test_three_pixels_of_a_canvas_are_a_drawing(pixels: int, expected: str) -> None:
    canvas = np.full((32, 32), -1, np.float32)
    canvas[0, :pixels] = 1
    assert predict_class(SUBJECT, votes(0.9, 0.1), is_blank_picture(canvas)) == expected


def test_maps_asked_for_are_those_that_there_are() -> None:
    shapes = NETWORK.shapes
    assert with_input_and_scores({1: range(-3, 500), 7: range(2), 2: range(5, 9)}, shapes) == {
        0: range(1), 1: range(100), 2: range(2),
    }  # fmt: skip


def test_without_a_threshold_only_a_tie_is_unsure() -> None:
    plain = replace(SUBJECT, threshold=None)
    assert predict_class(plain, votes(0.501, 0.499), is_blank_picture(INKED)) == "X"
    assert predict_class(plain, votes(0.5, 0.5), is_blank_picture(INKED)) == "unsure"


def test_a_picture_with_hardly_any_ink_is_blank() -> None:
    picture = np.full((100, 100), -1, np.float32)
    needed = round(BLANK_INK * picture.size)
    picture.flat[: needed - 1] = 1
    assert predict_class(SUBJECT, votes(0.99, 0.01), is_blank_picture(picture)) == "unsure"
    picture.flat[: needed + 1] = 1
    assert predict_class(SUBJECT, votes(0.99, 0.01), is_blank_picture(picture)) == "X"


def test_scores_that_are_votes_already_are_shown_as_they_are() -> None:
    scores = votes(1.0, 0.25)
    article = Network((1, 10, 10), (Flatten(), Dense(2)), vote="score", classes=("X", "O"))
    np.testing.assert_array_equal(compute_votes(article, scores), scores)
    assert not np.shares_memory(compute_votes(article, scores), scores)
    np.testing.assert_allclose(compute_votes(NETWORK, scores), np.exp(scores) / np.exp(scores).sum(), rtol=1e-6)


def test_weights_whose_products_overflow_are_unsure_without_a_warning() -> None:
    huge = {name: np.full(shape, 3e38, np.float32) for name, shape in NETWORK.parameter_shapes.items()}
    huge["dense-1.weight"][1] *= -1
    prediction = Predictor(Model("Huge", NETWORK, huge), choose_backend("cpu")).predict(INKED)
    assert prediction.predicted_class == "unsure"


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 9)])
def test_images_of_any_number_of_channels_and_sides_are_read(shape: tuple[int, int, int]) -> None:
    network = Network(shape, (Flatten(), Dense(2)), classes=("X", "O"))
    predictor = Predictor(Model("Odd", network, network.initial_parameters(1)), choose_backend("cpu"))
    image = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    np.testing.assert_array_equal(predictor.predict(image).activations[0], image)
    with pytest.raises(ShapeError):
        predictor.predict(image[:, 1:])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_picture_with_values_that_are_no_numbers_is_refused(value: float) -> None:
    picture = INKED.copy()
    picture[3, 4] = value
    with pytest.raises(
        ValueError, match=r"^Plain cannot read a picture with values that are not finite numbers\.$"
    ):
        Predictor(SUBJECT, choose_backend("cpu")).predict(picture)


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"needs pictures 1 × 1 × 10 × 10, but got 1 × 1 × 9 × 9\.$"):
        Predictor(SUBJECT, choose_backend("cpu")).predict(np.ones((9, 9), np.float32))


def test_many_pictures_pass_batch_by_batch_as_each_alone() -> None:
    network = Network((1, 12, 12), (Conv2D(3, 3), ReLU(), MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O"))
    model = Model("Small", network, network.initial_parameters(3))
    cpu = choose_backend("cpu")
    pictures = np.random.default_rng(1).uniform(-1, 1, (7, 1, 12, 12)).astype(np.float32)
    one = Predictor(model, cpu)
    alone = [one.predict(picture) for picture in pictures]
    many = BatchPredictor(network, cpu, 3, keep_outputs=True)
    many.load(model.parameters)
    scores = many.scores(pictures)
    np.testing.assert_allclose(scores, [each.activations[-1] for each in alone], rtol=0, atol=1e-6)
    # In slices, and of the first layers alone, the last batch is partly filled.
    assert np.array_equal(exhausted(many.iter_scores(pictures, 0.0)), scores)
    seen = []
    for done in many.iter_batches(pictures, 0.0, 2):
        if done is not None:
            seen += done
            maps = many.plan.layer_arrays[1].y[..., : len(done)]
            expected = np.stack([alone[at].activations[2] for at in done], axis=-1)
            np.testing.assert_allclose(maps, expected, rtol=0, atol=1e-6)
    assert seen == list(range(7))


def test_scores_of_weights_that_overflow_come_without_a_warning() -> None:
    huge = {name: np.full_like(array, 3e38) for name, array in NETWORK.initial_parameters(1).items()}
    many = BatchPredictor(NETWORK, choose_backend("cpu"), 2)
    many.load(huge)
    pictures = np.ones((3, 1, 10, 10), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not np.isfinite(many.scores(pictures)).any()
        assert not np.isfinite(exhausted(many.iter_scores(pictures, 0.0))).any()


def exhausted(slices: Generator[None, None, np.ndarray]) -> np.ndarray:
    """What slices return at their end."""
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return end.value

"""The article's worked example, to the digit: Rohrer's 9 x 9 X and O through the walk-through network.

The numbers are read off his slides (How_CNNs_work.pdf, 2016-08-18). Maps and pools are stored times 9, as whole
numbers; the slides print values cut off, not rounded, after two decimals.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data.xo import ARTICLE_PICTURES
from engine.documents import WALKTHROUGH
from engine.documents.presets import handmade_parameters
from engine.nn import Model, Prediction, Predictor

PICTURES = {
    "X": [
        ".........",
        ".#.....#.",
        "..#...#..",
        "...#.#...",
        "....#....",
        "...#.#...",
        "..#...#..",
        ".#.....#.",
        ".........",
    ],
    "O": [
        ".........",
        "...###...",
        "..#...#..",
        ".#.....#.",
        ".#.....#.",
        ".#.....#.",
        "..#...#..",
        "...###...",
        ".........",
    ],
}
MAPS_X9 = {
    "X": [
        [
            [7, -1, 1, 3, 5, -1, 3],
            [-1, 9, -1, 3, -1, 1, -1],
            [1, -1, 9, -3, 1, -1, 5],
            [3, 3, -3, 5, -3, 3, 3],
            [5, -1, 1, -3, 9, -1, 1],
            [-1, 1, -1, 3, -1, 9, -1],
            [3, -1, 5, 3, 1, -1, 7],
        ],
        [
            [3, -5, 1, -1, 1, -5, 3],
            [-5, 5, -5, 3, -5, 5, -5],
            [1, -5, 5, -7, 5, -5, 1],
            [-1, 3, -7, 9, -7, 3, -1],
            [1, -5, 5, -7, 5, -5, 1],
            [-5, 5, -5, 3, -5, 5, -5],
            [3, -5, 1, -1, 1, -5, 3],
        ],
        [
            [3, -1, 5, 3, 1, -1, 7],
            [-1, 1, -1, 3, -1, 9, -1],
            [5, -1, 1, -3, 9, -1, 1],
            [3, 3, -3, 5, -3, 3, 3],
            [1, -1, 9, -3, 1, -1, 5],
            [-1, 9, -1, 3, -1, 1, -1],
            [7, -1, 1, 3, 5, -1, 3],
        ],
    ],
    "O": [
        [
            [5, -1, 1, 1, 5, -1, 1],
            [-1, 1, -3, 1, 1, 9, -1],
            [1, -3, 5, 3, 1, 1, 5],
            [1, 1, 3, 3, 3, 1, 1],
            [5, 1, 1, 3, 5, -3, 1],
            [-1, 9, 1, 1, -3, 1, -1],
            [1, -1, 5, 1, 1, -1, 5],
        ],
        [
            [1, -5, 1, -3, 1, -5, 1],
            [-5, 5, -3, 1, -3, 5, -5],
            [1, -3, 1, -1, 1, -3, 1],
            [-3, 1, -1, -1, -1, 1, -3],
            [1, -3, 1, -1, 1, -3, 1],
            [-5, 5, -3, 1, -3, 5, -5],
            [1, -5, 1, -3, 1, -5, 1],
        ],
        [
            [1, -1, 5, 1, 1, -1, 5],
            [-1, 9, 1, 1, -3, 1, -1],
            [5, 1, 1, 3, 5, -3, 1],
            [1, 1, 3, 3, 3, 1, 1],
            [1, -3, 5, 3, 1, 1, 5],
            [-1, 1, -3, 1, 1, 9, -1],
            [5, -1, 1, 1, 5, -1, 1],
        ],
    ],
}
POOL4_X9 = {
    "X": [
        [[9, 3, 5, 3], [3, 9, 3, 5], [5, 3, 9, 1], [3, 5, 1, 7]],
        [[5, 3, 5, 3], [3, 9, 5, 1], [5, 5, 5, 1], [3, 1, 1, 3]],
        [[3, 5, 9, 7], [5, 5, 9, 3], [9, 9, 1, 5], [7, 3, 5, 3]],
    ],
    "O": [
        [[5, 1, 9, 1], [1, 5, 3, 5], [9, 3, 5, 1], [1, 5, 1, 5]],
        [[5, 1, 5, 1], [1, 1, 1, 1], [5, 1, 5, 1], [1, 1, 1, 1]],
        [[9, 5, 1, 5], [5, 3, 5, 1], [1, 5, 9, 5], [5, 1, 5, 1]],
    ],
}
POOL2_X9 = {
    "X": [[[9, 5], [5, 9]], [[9, 5], [5, 5]], [[5, 9], [9, 5]]],
    "O": [[[5, 9], [9, 5]], [[5, 5], [5, 5]], [[9, 5], [5, 9]]],
}

# The map of feature 1 on the X as the slides print it.
PRINTED_FIRST_MAP = """
 0.77 -0.11  0.11  0.33  0.55 -0.11  0.33
-0.11  1.00 -0.11  0.33 -0.11  0.11 -0.11
 0.11 -0.11  1.00 -0.33  0.11 -0.11  0.55
 0.33  0.33 -0.33  0.55 -0.33  0.33  0.33
 0.55 -0.11  0.11 -0.33  1.00 -0.11  0.11
-0.11  0.11 -0.11  0.33 -0.11  1.00 -0.11
 0.33 -0.11  0.55  0.33  0.11 -0.11  0.77
"""


def read(letter: str) -> Prediction:
    model = Model("Walk-through", WALKTHROUGH.network, handmade_parameters())
    picture = np.array([[1 if c == "#" else -1 for c in row] for row in PICTURES[letter]], np.float32)
    return Predictor(model, choose_backend("cpu")).predict(picture)


@pytest.mark.parametrize("letter", ["X", "O"])
def test_the_pictures_offered_on_the_canvas_are_the_article_s(letter: str) -> None:
    rows = ["".join("#" if value == 1 else "." for value in row) for row in ARTICLE_PICTURES[letter]]
    assert rows == PICTURES[letter]


def close(got: np.ndarray, expected_x9: object) -> None:
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.array(expected_x9) / 9, rtol=0, atol=1e-6)


def cut(value: float) -> str:
    """Truncated to two decimals, as the slides print."""
    return f"{math.trunc(value * 100 + math.copysign(1e-4, value)) / 100:.2f}"


@pytest.mark.parametrize("letter", ["X", "O"])
def test_maps_relu_pools_and_list(letter: str) -> None:
    trace = read(letter).named_activations()
    close(trace["conv2d-1"], MAPS_X9[letter])
    close(trace["relu-1"], np.maximum(MAPS_X9[letter], 0))
    close(trace["maxpool2d-1"], POOL4_X9[letter])
    close(trace["maxpool2d-2"], POOL2_X9[letter])
    close(trace["flatten-1"], np.ravel(POOL2_X9[letter]))


def test_the_first_map_prints_as_on_the_slides() -> None:
    printed = [[cut(value) for value in row] for row in read("X").named_activations()["conv2d-1"][0].tolist()]
    assert printed == [line.split() for line in PRINTED_FIRST_MAP.strip().splitlines()]


@pytest.mark.parametrize(("letter", "votes"), [("X", (1.0, 5 / 9)), ("O", (5 / 9, 1.0))])
def test_votes_and_verdict(letter: str, votes: tuple[float, float]) -> None:
    prediction = read(letter)
    assert list(prediction.named_activations())[-1] == "votes-1"
    np.testing.assert_allclose(prediction.named_activations()["votes-1"], votes, rtol=0, atol=1e-6)
    np.testing.assert_allclose(prediction.votes, votes, rtol=0, atol=1e-6)
    assert prediction.predicted_class == letter


def test_the_example_list_of_the_article() -> None:
    example = np.array([0.9, 0.65, 0.45, 0.87, 0.96, 0.73, 0.23, 0.63, 0.44, 0.89, 0.94, 0.53])
    votes = WALKTHROUGH.network.layers[-1].weights(12, np.float64) @ example
    np.testing.assert_allclose(votes, [0.912, 0.5175], rtol=0, atol=1e-12)

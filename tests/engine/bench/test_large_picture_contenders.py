"""The photograph: reproducible, and computed in little memory."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.bench import large_picture
from engine.nn import Network, Plan
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU

CPU = choose_backend("cpu")


def test_a_picture_of_eight_megapixels_and_sixteen_features_of_five_by_five() -> None:
    assert 7.5e6 < large_picture.PHOTO_SIZE[0] * large_picture.PHOTO_SIZE[1] < 8.5e6
    assert list(large_picture.PHOTO_LAYERS) == [Conv2D(16, 5, padding="same"), ReLU(), MaxPool2D()]
    assert large_picture.photo_multiplies((10, 20)) == 16 * 25 * 10 * 20


def test_it_looks_the_same_each_time_and_is_no_flat_grey() -> None:
    picture = large_picture.make_photograph(40, 60)
    assert picture.shape == (1, 40, 60)
    assert picture.dtype == np.float32
    assert abs(picture).max() < 1.2
    assert picture.std() > 0.2
    np.testing.assert_array_equal(picture, large_picture.make_photograph(40, 60))


def test_the_engine_answers_with_all_the_maps_of_the_whole_picture() -> None:
    contender = large_picture.band_contender(CPU, (21, 34))
    assert contender.outputs is not None
    network = Network((1, 21, 34), (*large_picture.PHOTO_LAYERS, Flatten(), Dense(2)), classes=("X", "O"))
    plan = Plan(network, CPU, 1, keep_outputs=True)
    plan.load(
        large_picture.photo_parameters()
        | {"dense-1.weight": np.zeros((2, 16 * 11 * 17)), "dense-1.bias": np.zeros(2)}
    )
    plan.forward(large_picture.make_photograph(21, 34)[None])
    np.testing.assert_allclose(contender.outputs()["maps"], plan.outputs()[3][0], rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(sys.platform == "win32", reason="the peak memory of a process is unknown")
def test_a_process_grows_by_little_more_than_the_maps() -> None:
    sides = (1200, 1600)
    grown = large_picture.memory_growth(sides)
    maps = 4 * 16 * 600 * 800
    assert grown is not None
    # Its im2col columns would be another 190 MB.
    assert maps / 2 < grown < maps + 30e6

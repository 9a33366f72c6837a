"""Central differences against backpropagation, and the kinks and ties at which they may differ."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bench.cases import LAYER_CASES, case_id, network_around, random_parameters
from engine.data.xo import ARTICLE_PICTURES
from engine.documents import WALKTHROUGH
from engine.documents.presets import handmade_parameters
from engine.nn import Network
from engine.nn.layers import Conv2D, Dense, Flatten, Layer, LeakyReLU, MaxPool2D, ReLU, Residual, Shape, Tanh, Votes
from engine.nudging import CentralDifferences, backprop_gradients, central_difference_gradients
from tests.engine.random_networks import random_network

Values = dict[str, np.ndarray]


def both(
    network: Network, values: Values, images: np.ndarray, shares: np.ndarray
) -> tuple[CentralDifferences, Values]:
    return central_difference_gradients(network, values, images, shares), backprop_gradients(
        network, values, images, shares
    )


def agreeing(found: CentralDifferences, gradients: Values) -> dict[str, np.ndarray]:
    """Where the two differ by at most 1e-6, absolute or relative."""
    assert found.slopes.keys() == gradients.keys()
    return {
        name: abs(found.slopes[name] - gradient) <= 1e-6 * np.maximum(1, abs(gradient))
        for name, gradient in gradients.items()
    }


@pytest.mark.parametrize("case", LAYER_CASES, ids=case_id)
def test_every_layer_agrees_with_backpropagation(case: tuple[Layer, Shape]) -> None:
    network, rng = network_around(*case), np.random.default_rng(11)
    values = random_parameters(network, rng)
    images = rng.normal(0, 1, (2, *network.input_shape))
    found, gradients = both(network, values, images, np.array([[1.0, 0.0], [0.3, 0.7]]))
    for name, agrees in agreeing(found, gradients).items():
        assert (agrees | found.kinked[name]).all(), name
        assert found.kinked[name].sum() <= found.kinked[name].size // 10, name


def test_many_values_at_once_are_each_nudged_alone() -> None:
    """More parameters than fit in one batch of changes, and fewer in the last one."""
    network = Network((1, 30, 40), (Flatten(), Dense(4, bias=False), Tanh(), Dense(2)), classes=("X", "O"))
    values = random_parameters(network, np.random.default_rng(0))
    values["dense-1.weight"] *= 0.02
    images = np.random.default_rng(1).normal(0, 1, (1, *network.input_shape))
    found, gradients = both(network, values, images, np.array([[1.0, 0.0]]))
    assert gradients["dense-1.weight"].size == 4800
    assert all(agrees.all() for agrees in agreeing(found, gradients).values())
    assert not any(kinked.any() for kinked in found.kinked.values())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_where_no_kink_is_found_the_two_agree(seed: int, whole: bool) -> None:
    """With integer values and pixels, ties and exact zeros are frequent; otherwise rare."""
    rng = np.random.default_rng(seed)
    network, batch = random_network(rng), int(rng.integers(1, 4))
    values = random_parameters(network, rng)
    images = rng.normal(0, 1, (batch, *network.input_shape))
    if whole:
        images = np.round(images)
        values = {
            name: array if name.endswith((".mean", ".variance")) else np.round(2 * array) / 2
            for name, array in values.items()
        }
    found, gradients = both(network, values, images, rng.dirichlet([1, 1], batch))
    for name, agrees in agreeing(found, gradients).items():
        assert (agrees | found.kinked[name]).all(), name
        assert {index for key, index in found.kinks if key == name} == set(
            zip(*found.kinked[name].nonzero(), strict=True)
        )


def one_pixel(*layers: Layer) -> tuple[Network, Values]:
    """A kernel of one weight, 1, and a bias, 0, before `layers` and two scores."""
    network = Network((1, 1, 2), (Conv2D(1, 1), *layers, Flatten(), Dense(2)), classes=("X", "O"))
    values = {name: np.ones(shape) for name, shape in network.parameter_shapes.items()}
    values["conv2d-1.bias"][:] = 0
    values[f"{network.names[-1]}.weight"][1] = -1
    return network, values


@pytest.mark.parametrize(("layer", "left"), [(ReLU(), 0.0), (LeakyReLU(0.1), 0.1)])
def test_a_value_that_moves_a_zero_into_a_relu_is_at_a_kink(layer: Layer, left: float) -> None:
    """The pixels are 0.5 and 0, so the second match is exactly 0: the bias moves it, the weight does not.

    With s the sum of both after the layer the scores are 1 + s and 1 - s, the loss is log(1 + exp(2s)), and its
    slope in s, at 0.5, is 2 / (1 + exp(-1)).
    """
    network, values = one_pixel(layer)
    found, gradients = both(network, values, np.array([[[[0.5, 0.0]]]]), np.array([[0.0, 1.0]]))
    slope = 2 / (1 + np.exp(-1))
    assert gradients["conv2d-1.bias"] == pytest.approx(slope * (1 + left))
    assert found.slopes["conv2d-1.bias"] == pytest.approx(slope * (1 + (1 + left) / 2), abs=1e-4)
    assert found.kinked["conv2d-1.bias"].tolist() == [True]
    assert found.message("conv2d-1.bias", (0,)) == (
        "The central difference and backpropagation may differ here: "
        f"layer 2 ({type(layer).__name__}) lies at its kink in cell (0, 0, 1)."
    )
    assert found.slopes["conv2d-1.weight"] == pytest.approx(slope * 0.5, abs=1e-9)
    assert found.kinked["conv2d-1.weight"].tolist() == [[[[False]]]]
    assert found.message("conv2d-1.weight", (0, 0, 0, 0)) is None


def test_a_kink_between_up_and_down_is_found_though_the_value_lies_beside_it() -> None:
    network, values = one_pixel(ReLU())
    pictures = np.array([[[[0.5, 4e-6]]]])
    found, gradients = both(network, values, pictures, np.array([[0.0, 1.0]]))  # up and down by 1e-5
    assert found.kinked["conv2d-1.bias"].all()
    assert not agreeing(found, gradients)["conv2d-1.bias"]
    finer = central_difference_gradients(network, values, pictures, np.array([[0.0, 1.0]]), step=1e-6)
    assert not finer.kinked["conv2d-1.bias"].any()
    assert agreeing(finer, gradients)["conv2d-1.bias"].all()


def test_a_pool_s_tie_is_a_kink_only_for_what_parts_the_two() -> None:
    """Both maps' two pixels are equal. Only the weight of an input that differs between them would break the tie;
    bias and weight move both alike, and a tie that remains is no kink."""
    network = Network((2, 1, 2), (Conv2D(1, 1), MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O"))
    values = {name: np.ones(shape) for name, shape in network.parameter_shapes.items()}
    values["dense-1.weight"][1] = -1
    pictures = np.array([[[[0.2, 0.2]], [[0.7, 0.7]]], [[[0.2, 0.7]], [[0.7, 0.2]]]])  # 0.9 everywhere, twice
    found, gradients = both(network, values, pictures, np.full((2, 2), 0.5))
    assert found.kinked["conv2d-1.weight"].ravel().tolist() == [True, True]
    assert found.kinked["conv2d-1.bias"].tolist() == [False]
    assert found.message("conv2d-1.weight", (0, 1, 0, 0)) == (
        "The central difference and backpropagation may differ here: "
        "layer 2 (MaxPool2D) has no clear winner in cell (0, 0, 0) of example 1."
    )
    alike, gradients = both(network, values, pictures[:1], np.full((1, 2), 0.5))
    assert not any(kinked.any() for kinked in alike.kinked.values())
    assert all(agrees.all() for agrees in agreeing(alike, gradients).values())


@pytest.mark.parametrize("case", [case for case in LAYER_CASES if isinstance(case[0], MaxPool2D)], ids=case_id)
def test_a_pool_tells_of_each_window_how_far_its_values_are_from_the_first_winner(
    case: tuple[MaxPool2D, Shape],
) -> None:
    layer, shape = case
    x = np.random.default_rng(3).integers(0, 3, (2, *shape, 2)).astype(float)  # at two points, with ties
    gaps = np.stack(list(layer.distances_to_kink(x)))
    channels, high, wide = layer.output_shape(shape)
    assert gaps.shape[1:] == (2, channels, high, wide, 2)
    for channel, row, column, example in np.ndindex(channels, high, wide, 2):
        rows, columns = layer.receptive_range(shape, range(row, row + 1), range(column, column + 1))
        cells = [x[:, channel, r, c, example] for r in rows for c in columns]
        winner = max(cells, key=lambda cell: cell[0])  # the first of equal ones
        expected = {tuple(cell - winner) for cell in cells}
        assert set(map(tuple, gaps[:, :, channel, row, column, example])) == expected


def test_a_kink_inside_a_stack_is_found_from_inside_and_from_below() -> None:
    network, values = one_pixel(Residual((Conv2D(1, 1), ReLU())))
    values["residual-1.conv2d-1.bias"][:] = -0.5
    found = central_difference_gradients(network, values, np.array([[[[0.5, 2.0]]]]), np.array([[0.0, 1.0]]))
    sentence = (
        "The central difference and backpropagation may differ here: "
        "layer 2 (Residual), layer 2 (ReLU) in it lies at its kink in cell (0, 0, 0)."
    )
    assert found.message("conv2d-1.weight", (0, 0, 0, 0)) == sentence
    assert found.message("residual-1.conv2d-1.bias", (0,)) == sentence
    assert not found.kinked["dense-1.weight"].any()


def test_the_walk_through_has_exact_ties() -> None:
    """In the article's first map of the X, the window right of the top left one holds 1, 3, -1, 3 ninths: a tie."""
    values = handmade_parameters()
    image = ARTICLE_PICTURES["X"][None, None].astype(np.float64)
    found, gradients = both(WALKTHROUGH.network, values, image, np.array([[1.0, 0.0]]))
    agrees = agreeing(found, gradients)
    kinked = found.kinked["conv2d-1.weight"]
    assert (agrees["conv2d-1.weight"] | kinked).all()
    assert not agrees["conv2d-1.weight"].all()
    assert not kinked.all()
    # A bias moves a whole map alike: no tie is broken, and no match is near 0.
    assert agrees["conv2d-1.bias"].all()
    assert not found.kinked["conv2d-1.bias"].any()
    sentences = {found.message(*place) for place in found.kinks}
    assert (
        "The central difference and backpropagation may differ here: "
        "layer 3 (MaxPool2D) has no clear winner in cell (0, 0, 1)."
    ) in sentences


def test_how_many_are_tried_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    image, shares = ARTICLE_PICTURES["X"][None, None].astype(np.float64), np.array([[1.0, 0.0]])
    at_once = central_difference_gradients(WALKTHROUGH.network, handmade_parameters(), image, shares)
    monkeypatch.setattr(import_module("engine.nudging.central_differences"), "MAX_PAIRS", 4)
    in_parts = central_difference_gradients(WALKTHROUGH.network, handmade_parameters(), image, shares)
    assert in_parts.kinks == at_once.kinks
    for name, slopes in in_parts.slopes.items():
        np.testing.assert_allclose(slopes, at_once.slopes[name], atol=1e-9)
        np.testing.assert_array_equal(in_parts.kinked[name], at_once.kinked[name])


def test_single_precision_can_be_asked_for() -> None:
    network, values = one_pixel(Tanh())
    pictures, shares = np.array([[[[0.5, -0.3]]]], np.float32), np.array([[0.0, 1.0]])
    found = central_difference_gradients(network, values, pictures, shares, step=0.01, dtype=np.float32)
    gradients = backprop_gradients(network, values, pictures, shares)
    for name, slopes in found.slopes.items():
        assert slopes.dtype == np.float32
        np.testing.assert_allclose(slopes, gradients[name], atol=1e-3)


def test_a_step_that_leads_nowhere_is_refused() -> None:
    network, values = one_pixel(ReLU())
    with pytest.raises(ValueError, match=r"step .* above 0, not 0\.$"):
        central_difference_gradients(network, values, np.zeros((1, 1, 1, 2)), np.array([[0.0, 1.0]]), step=0)


def test_a_network_without_values_has_no_slopes() -> None:
    network = Network((1, 1, 2), (Flatten(), Votes(((0,), (1,)))), classes=("X", "O"))
    found = central_difference_gradients(network, {}, np.zeros((1, 1, 1, 2)), np.array([[0.0, 1.0]]))
    assert (found.slopes, found.kinked, found.kinks) == ({}, {}, {})

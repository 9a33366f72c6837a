"""The receptive field against brute force: change every pixel and see which values change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.documents import DEFAULT, WALKTHROUGH
from engine.explain import receptive_field
from engine.nn import Network, Plan
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU

TAIL = (Flatten(), Dense(2))


def influence(network: Network, layer: int) -> np.ndarray[Any, Any]:
    """(H', W', H, W) bool: whether any channel of a place of `layer` changed when a pixel was changed."""
    rng = np.random.default_rng(5)
    _, height, width = network.input_shape
    base = rng.standard_normal(network.input_shape).astype(np.float32)
    pictures = np.repeat(base[None], height * width + 1, axis=0)
    for place in range(height * width):
        # Large, so that a pixel under a maximum wins it wherever the weight above it is positive.
        pictures[place, :, place // width, place % width] += np.float32(1000)
    plan = Plan(network, choose_backend("cpu"), len(pictures), keep_outputs=True)
    plan.load(network.initial_parameters(3))
    plan.forward(pictures)
    values = np.array(plan.outputs()[layer])
    # A product may round the same window differently at another place among its columns.
    changed = np.abs(values[:-1] - values[-1:]).max(axis=1) > 1e-3
    seen: np.ndarray[Any, Any] = changed.reshape(height, width, *changed.shape[1:]).transpose(2, 3, 0, 1)
    return seen


def field_mask(network: Network, layer: int, row: int, column: int) -> np.ndarray[Any, Any]:
    mask = np.zeros(network.input_shape[1:], bool)
    window = receptive_field(network, layer, row, column)[0]
    assert window is not None
    if window[0] and window[1]:
        mask[window[0].start : window[0].stop, window[1].start : window[1].stop] = True
    return mask


DENSE_CHAINS = [
    (Conv2D(3, 3),),
    (Conv2D(3, 5, padding="same"),),
    (Conv2D(4, 4, stride=3, padding=2),),
    (Conv2D(3, 3, stride=2, padding=1), Conv2D(3, 2, stride=2)),
    (Conv2D(2, 2, stride=2), Conv2D(3, 3, padding="same"), Conv2D(2, 4, stride=3, padding=3)),
    (Conv2D(2, 1, padding=2), Conv2D(2, 3, stride=2)),
]


@pytest.mark.parametrize("chain", DENSE_CHAINS)
def test_exactly_the_pixels_inside_matter_where_windows_leave_no_gap(chain: tuple[Any, ...]) -> None:
    network = Network((1, 11, 13), chain + TAIL, classes=("X", "O"))
    for layer in range(1, len(chain) + 1):
        seen = influence(network, layer)
        for row, column in np.ndindex(*seen.shape[:2]):
            np.testing.assert_array_equal(seen[row, column], field_mask(network, layer, row, column))


GAPPY_CHAINS = [
    (Conv2D(3, 2, stride=3), Conv2D(4, 3)),
    (Conv2D(3, 1, stride=2), Conv2D(3, 2)),
]


@pytest.mark.parametrize("chain", GAPPY_CHAINS)
def test_gaps_stay_inside_and_the_rectangle_is_the_smallest(chain: tuple[Any, ...]) -> None:
    network = Network((1, 12, 11), chain + TAIL, classes=("X", "O"))
    seen = influence(network, len(chain))
    for row, column in np.ndindex(*seen.shape[:2]):
        mask = field_mask(network, len(chain), row, column)
        rows, columns = np.nonzero(seen[row, column])
        smallest = np.zeros_like(mask)
        smallest[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
        np.testing.assert_array_equal(smallest, mask)
        assert seen[row, column].sum() < mask.sum()


# Where a window hangs into padding, gaps can make the rectangle wider than what is read: only inside is sure.
LOOSE = [
    (Conv2D(6, 3, padding="same"), MaxPool2D()),
    (Conv2D(6, 3), ReLU(), MaxPool2D(3, 2)),
    (Conv2D(6, 3, stride=2), MaxPool2D(2, 2, "drop"), Conv2D(8, 2), MaxPool2D(3, 1)),
    (MaxPool2D(2, 3), Conv2D(8, 2, padding=1)),
    (Conv2D(3, 1, stride=2, padding=1), Conv2D(3, 2)),
]


@pytest.mark.parametrize("chain", LOOSE)
def test_nothing_outside_matters_under_pools_and_padded_gaps(chain: tuple[Any, ...]) -> None:
    network = Network((1, 13, 11), chain + TAIL, classes=("X", "O"))
    reached = 0
    for layer in range(1, len(chain) + 1):
        seen = influence(network, layer)
        for row, column in np.ndindex(*seen.shape[:2]):
            mask = field_mask(network, layer, row, column)
            assert not (seen[row, column] & ~mask).any()
            reached += bool((seen[row, column] == mask).all())
    assert reached > 10


def test_every_layer_in_between_is_told() -> None:
    field = receptive_field(DEFAULT.network, 6, 3, 7)
    assert field[6] == (range(3, 4), range(7, 8))
    assert field[5] == field[4] == (range(6, 8), range(14, 16))
    assert field[3] == (range(5, 9), range(13, 17))
    assert field[2] == field[1] == (range(10, 18), range(26, 34))
    assert field[0] == (range(8, 20), range(24, 36))


def test_a_list_reads_everything_below() -> None:
    field = receptive_field(DEFAULT.network, 12, 0, 0)
    assert field[11:] == [(range(1), range(1))] * 2
    assert field[:11] == [None] * 11


def test_a_value_in_the_padding_reads_nothing() -> None:
    network = Network((1, 6, 6), (Conv2D(2, 2, padding=3), Conv2D(2, 1), *TAIL), classes=("X", "O"))
    assert receptive_field(network, 2, 0, 0)[:2] == [(range(0), range(0)), (range(1), range(1))]
    assert receptive_field(network, 2, 0, 4)[0] == (range(0), range(0)), "in the frame's columns, above its rows"


@pytest.mark.parametrize("place", [(7, 0, 0), (-1, 0, 0), (1, 7, 0), (1, 0, -1), (6, 0, 1)])
def test_places_that_do_not_exist_are_refused(place: tuple[int, int, int]) -> None:
    with pytest.raises(IndexError, match=r"[Ll]ayer"):
        receptive_field(WALKTHROUGH.network, *place)

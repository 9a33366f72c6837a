"""Value formulas, receptive fields, gradients and contributions against the engine's values and brute force."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.documents import WALKTHROUGH
from engine.documents.presets import handmade_parameters
from engine.explain import contribution, receptive_runs, softmax_terms, value_formula
from engine.explain.attribution import Gradients, contributions, contributions_in_slices, score_contributions
from engine.explain.receptive_fields import influence_mask, receptive_mask
from engine.nn import Activations, Model, Network, Plan, Prediction, softmax
from engine.nn.layers import (
    LAYERS,
    OUTSIDE,
    Conv2D,
    Dense,
    Flatten,
    Maximum,
    MaxPool2D,
    ReLU,
    Residual,
    WeightedSum,
)
from tests.engine.random_networks import random_network
from tests.engine.test_walkthrough import MAPS_X9, PICTURES

Array = np.ndarray[Any, Any]
CPU = choose_backend("cpu")
SEEDS = range(60)


def passed(network: Network, parameters: dict[str, Array], pictures: Array, dtype: Any = np.float32) -> list[Array]:
    """Every layer's output for pictures (N, C, H, W)."""
    plan = Plan(network, CPU, len(pictures), dtype=dtype, keep_outputs=True)
    plan.load(parameters)
    plan.forward(pictures)
    return plan.outputs()


def some(seed: int) -> tuple[Network, dict[str, Array], Array]:
    """A random network with odd strides, paddings and pools, parameters none of which is 0, and a picture."""
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    parameters = network.initial_parameters(seed)
    for name, array in parameters.items():
        noise = rng.uniform(0.2, 0.9, array.shape).astype(np.float32)
        parameters[name] = array + noise if name.endswith(("bias", "mean", "variance")) else array
    return network, parameters, rng.standard_normal(network.input_shape).astype(np.float32)


def read(network: Network, parameters: dict[str, Array], picture: Array) -> Prediction:
    outputs = tuple(output[0] for output in passed(network, parameters, picture[None]))
    model = Model("some", network, parameters)
    return Prediction(
        model, Activations.from_arrays(outputs), softmax(outputs[-1]), "X", (0.0,) * len(network.layers)
    )


def some_places(shape: tuple[int, ...], rng: np.random.Generator, count: int = 6) -> list[tuple[int, ...]]:
    """The corners, where windows hang over the frame, and some places between."""
    chosen = [tuple(0 for _ in shape), tuple(side - 1 for side in shape)]
    return chosen + [tuple(int(rng.integers(side)) for side in shape) for _ in range(count)]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_arithmetic_of_any_value_comes_to_the_engines_value(seed: int) -> None:
    prediction = read(*some(seed))
    rng = np.random.default_rng(seed)
    for layer in range(1, len(prediction.activations)):
        for place in some_places(prediction.activations[layer].shape, rng):
            spelled = value_formula(prediction, layer, place)
            assert spelled is not None
            value = float(prediction.activations[layer][place])
            assert spelled.result == pytest.approx(value, abs=1e-5 * max(1.0, abs(value)))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_cell_brings_to_each_map_is_its_share_there(seed: int) -> None:
    prediction, rng = read(*some(seed)), np.random.default_rng(seed)
    for layer, made in enumerate(prediction.model.network.layers, 1):
        if not made.traits.connects_channels:
            continue
        shape = prediction.activations[layer].shape
        for place in some_places(prediction.activations[layer - 1].shape, rng, 2):
            above = some_places(shape, rng, 1)[-1][1:]
            mine = np.ravel_multi_index(place, prediction.activations[layer - 1].shape)
            brought = contribution(prediction, layer, place, above)
            assert brought.shape == (shape[0],)
            for channel, one in enumerate(brought.tolist()):
                spelled = value_formula(prediction, layer, (channel, *above))
                assert spelled is not None
                assert one == pytest.approx(float(spelled.contributions[spelled.cells == mine].sum()), abs=1e-9)


def test_every_kind_of_layer_is_among_them() -> None:
    met = {type(layer).__name__ for seed in SEEDS for layer in some(seed)[0].layers}
    assert met == set(LAYERS)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_arithmetic_names_the_cells_that_it_read(seed: int) -> None:
    """The numbers shown as read are the values that stand at the places it names, and no others matter to it."""
    network, parameters, picture = some(seed)
    prediction, rng = read(network, parameters, picture), np.random.default_rng(seed)
    for layer, made in enumerate(network.layers, 1):
        below = prediction.activations[layer - 1]
        place = some_places(prediction.activations[layer].shape, rng, 1)[-1]
        spelled = value_formula(prediction, layer, place)
        assert spelled is not None
        inside = spelled.cells[spelled.cells != OUTSIDE]
        if isinstance(spelled, WeightedSum | Maximum):
            np.testing.assert_allclose(spelled.values[spelled.cells != OUTSIDE], below.ravel()[inside])
            outside = made.padding_value if isinstance(made, Conv2D) else 0.0
            assert (spelled.values[spelled.cells == OUTSIDE] == outside).all()
            assert not spelled.contributions[spelled.cells == OUTSIDE].any()
        one = np.zeros(prediction.activations[layer].shape, bool)
        one[place] = True
        if not isinstance(made, Residual):
            assert set(inside.ravel().tolist()) == set(np.flatnonzero(made.receptive_mask(below.shape, one)))


@pytest.mark.parametrize("seed", SEEDS)
def test_reach_both_ways_equals_following_every_change(seed: int) -> None:
    """Layer by layer: change each input cell of a layer alone and see which of its outputs move."""
    network, _, _ = some(seed)
    for layer, shape in zip(network.layers, network.shapes, strict=False):
        alone = (
            Network(shape, (layer, *_tail(layer.output_shape(shape))), classes=("X", "O"))
            if len(shape) == 3
            else None
        )
        if alone is None:
            continue
        moved = _moved(alone)  # (cells below, cells above)
        made = layer.output_shape(shape)
        for above in range(moved.shape[1]):
            mask = np.zeros(made, bool)
            mask.flat[above] = True
            # Of pools, each cell of the window can win; of features, no weight is 0.
            np.testing.assert_array_equal(np.asarray(layer.receptive_mask(shape, mask)).ravel(), moved[:, above])
        for below in range(0, moved.shape[0], 3):
            mask = np.zeros(shape, bool)
            mask.flat[below] = True
            np.testing.assert_array_equal(np.asarray(layer.influence_mask(shape, mask)).ravel(), moved[below])


def _tail(shape: tuple[int, ...]) -> tuple[Any, ...]:
    return (Flatten(), Dense(2)) if len(shape) == 3 else (Dense(2),)


def _moved(network: Network) -> Array:
    """(cells below, cells above) bool for the first layer: tried from several pictures, up and down, far enough to
    win any pool."""
    shape = network.input_shape
    count = int(np.prod(shape))
    seen = np.zeros((count, int(np.prod(network.shapes[1]))), bool)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        parameters = {
            name: rng.uniform(0.2, 1.0, array.shape).astype(np.float32)
            for name, array in network.initial_parameters(seed).items()
        }
        base = rng.uniform(0.1, 1.0, shape).astype(np.float32)
        for change in (50.0, -50.0):
            pictures = np.repeat(base[None], count + 1, axis=0).astype(np.float64)
            pictures.reshape(count + 1, -1)[np.arange(count), np.arange(count)] += change
            values = passed(network, parameters, pictures, np.float64)[1].reshape(count + 1, -1)
            seen |= np.abs(values[:-1] - values[-1]) > 1e-9
    return seen


def test_reach_goes_through_whole_networks_without_the_gaps_of_strides() -> None:
    network = Network(
        (1, 12, 12), (Conv2D(2, 2, stride=3), ReLU(), Conv2D(2, 3), Flatten(), Dense(2)), classes=("X", "O")
    )
    seen = receptive_mask(network, 3, (0, 0, 0))[0][0]
    assert seen.sum() == 36, "nine windows of four pixels, the gaps between them unread"
    assert not seen[2].any()
    up = influence_mask(network, 0, (0, 3, 3))
    assert up[1].sum() == 2, "one place on each of two maps"
    assert up[-1].all()


@pytest.mark.parametrize("seed", SEEDS)
def test_runs_without_gaps_are_what_is_read(seed: int) -> None:
    network, rng = some(seed)[0], np.random.default_rng(seed)
    for layer, shape in enumerate(network.shapes):
        if len(shape) != 3:
            continue
        for place in some_places(shape, rng, 1):
            runs, seen = receptive_runs(network, layer, *place[1:]), receptive_mask(network, layer, place)[0]
            cells = seen.any(axis=0)
            if runs is None:  # only where no grid of rows and columns says it
                assert not np.array_equal(cells, np.outer(cells.any(axis=1), cells.any(axis=0)))
                continue
            told = np.zeros(network.input_shape[1:], bool)
            for rows, columns in product(*runs):
                told[rows.start : rows.stop, columns.start : columns.stop] = True
            np.testing.assert_array_equal(told, cells)


def test_a_skip_is_read_even_where_the_stack_looks_elsewhere() -> None:
    """The stack reads rows -1, 1 and 3 for rows 0, 1 and 2: of the corner only the padding."""
    network = Network(
        (1, 3, 3), (Residual((Conv2D(1, 1, stride=2, padding=1),)), Flatten(), Dense(2)), classes=("X", "O")
    )
    read_by_corner, read_by_middle = (receptive_mask(network, 1, (0, at, at))[0][0] for at in (0, 1))
    assert np.argwhere(read_by_corner).tolist() == [[0, 0]]
    assert np.argwhere(read_by_middle).tolist() == [[1, 1]]
    assert influence_mask(network, 0, (0, 0, 2))[1][0].sum() == 1


def test_the_winner_of_a_pool_and_a_tie() -> None:
    network = Network((1, 4, 4), (MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O"))
    picture = np.zeros((1, 4, 4), np.float32)
    picture[0, 1, 1], picture[0, 0, 3] = 2.0, -1.0
    prediction = read(network, network.initial_parameters(0), picture)
    won, tied = value_formula(prediction, 1, (0, 0, 0)), value_formula(prediction, 1, (0, 0, 1))
    assert isinstance(won, Maximum)
    assert isinstance(tied, Maximum)
    assert (won.argmax, won.tie_count, won.result) == (3, 1, 2.0)
    assert (tied.argmax, tied.tie_count, tied.result) == (0, 3, 0.0)


def test_the_articles_first_window() -> None:
    picture = -np.ones((1, 9, 9), np.float32)
    for at in range(1, 8):
        picture[0, at, at] = picture[0, at, 8 - at] = 1.0
    prediction = read(WALKTHROUGH.network, handmade_parameters(), picture)
    spelled = value_formula(prediction, 1, (0, 1, 1))
    assert isinstance(spelled, WeightedSum)
    assert spelled.total == 9
    assert spelled.normalizer == 9
    assert (spelled.products == 1).all()
    assert spelled.result == 1


@pytest.mark.parametrize("letter", ["X", "O"])
def test_every_sum_of_the_articles_slides(letter: str) -> None:
    """Nine products each: their sum is nine times the number printed on the slides."""
    rows = [[1.0 if sign == "#" else -1.0 for sign in row] for row in PICTURES[letter]]
    prediction = read(WALKTHROUGH.network, handmade_parameters(), np.array([rows], np.float32))
    sums = np.array(MAPS_X9[letter])
    for place in np.ndindex(*sums.shape):
        spelled = value_formula(prediction, 1, place)
        assert isinstance(spelled, WeightedSum)
        assert spelled.total == sums[place]
        assert (np.abs(spelled.products) == 1).all()


def test_softmax_is_what_the_votes_are() -> None:
    prediction = read(*some(3))
    made = softmax_terms(prediction)
    assert made is not None
    np.testing.assert_allclose(made.probabilities, prediction.votes, rtol=1e-5)
    np.testing.assert_allclose(made.exponentials / made.exponentials.sum(), made.probabilities)


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_of_any_value_equal_central_differences(seed: int) -> None:
    network, parameters, picture = some(seed)
    rng, step = np.random.default_rng(seed), 1e-6
    gradients = Gradients(network)
    gradients.load(parameters)
    gradients.forward(picture)
    layer = int(rng.integers(1, len(network.layers) + 1))
    place = some_places(network.shapes[layer], rng, 1)[-1]
    found = gradients.backward(layer, [place])
    assert [each.shape[1:] for each in found] == list(network.shapes[: layer + 1])
    slopes = found[0][0].ravel()
    pixels = rng.choice(picture.size, min(picture.size, 12), replace=False)
    tried = np.repeat(picture[None].astype(np.float64), 2 * len(pixels), axis=0)
    for at, pixel in enumerate(pixels):
        tried[2 * at].flat[pixel] += step
        tried[2 * at + 1].flat[pixel] -= step
    values = passed(network, parameters, tried, np.float64)[layer][(slice(None), *place)]
    np.testing.assert_allclose(slopes[pixels], (values[::2] - values[1::2]) / (2 * step), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_contributions_and_the_rest_make_up_every_score(seed: int) -> None:
    network, parameters, picture = some(seed)
    gradients = Gradients(network, 2)
    gradients.load(parameters)
    gradients.forward(picture)
    traced = score_contributions(gradients)
    scores = passed(network, parameters, picture[None].astype(np.float64), np.float64)[-1][0]
    np.testing.assert_allclose(traced.values, scores)
    for layer, worth in enumerate(traced.layers):
        assert worth.shape == (2, *network.shapes[layer])
        np.testing.assert_allclose(
            worth.reshape(2, -1).sum(axis=1) + traced.remainder[layer], scores, rtol=1e-12, atol=1e-12
        )
    assert not traced.remainder[-1].any()


@pytest.mark.parametrize("seed", range(0, 60, 4))
def test_a_pass_in_pieces_that_stops_early_finds_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.explain.attribution.SLICE_SECONDS", 0.0)  # after every call
    network, parameters, picture = some(seed)
    gradients = Gradients(network, 2)
    gradients.load(parameters)
    gradients.forward(picture)
    whole, top = score_contributions(gradients), len(network.layers)
    for lowest in range(top + 1):
        work, pieces = contributions_in_slices(gradients, top, [(0,), (1,)], lowest), 0
        try:
            while True:
                next(work)
                pieces += 1
        except StopIteration as end:
            found = end.value
        assert lowest == top or pieces or all(layer.traits.reshapes for layer in network.layers[lowest:])
        assert len(found.layers) == top + 1 - lowest
        for one, other in zip(found.layers, whole.layers[lowest:], strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(found.remainder, whole.remainder[lowest:])


def test_without_biases_the_contributions_alone_are_the_score() -> None:
    """Features, ReLU, pools and votes without biases: nothing is left over, at any layer."""
    network = Network(
        (1, 11, 10),
        (Conv2D(3, 3, stride=2, padding=2, bias=False), ReLU(), MaxPool2D(3, 2), Flatten(), Dense(2, bias=False)),
        classes=("X", "O"),
    )
    gradients = Gradients(network, 2)
    gradients.load(network.initial_parameters(4))
    gradients.forward(np.random.default_rng(1).standard_normal((1, 11, 10)).astype(np.float32))
    np.testing.assert_allclose(score_contributions(gradients).remainder, 0, atol=1e-12)


def test_the_rest_is_what_the_biases_add() -> None:
    """Take the biases of the features away: what is missing is what they were said to add, with no ReLU."""
    network = Network((1, 6, 6), (Conv2D(2, 3), Flatten(), Dense(2)), classes=("X", "O"))
    parameters, picture = (
        network.initial_parameters(1),
        np.random.default_rng(2).standard_normal((1, 6, 6)).astype(np.float32),
    )
    parameters["conv2d-1.bias"] = np.array([0.5, -0.25], np.float32)
    gradients = Gradients(network, 2)
    gradients.load(parameters)
    gradients.forward(picture)
    traced = score_contributions(gradients)
    bare = passed(network, parameters | {"conv2d-1.bias": np.zeros(2, np.float32)}, picture[None], np.float64)[-1][
        0
    ]
    np.testing.assert_allclose(traced.remainder[0], traced.values - bare, rtol=1e-6)


def test_contributions_to_a_cell_lie_where_it_reads() -> None:
    network = Network(
        (1, 12, 12), (Conv2D(3, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O")
    )
    gradients = Gradients(network)
    gradients.load(network.initial_parameters(2))
    gradients.forward(np.random.default_rng(3).standard_normal((1, 12, 12)).astype(np.float32))
    place = (1, 2, 3)
    found = contributions(gradients, 3, [place])
    for worth, mask in zip(found.layers, receptive_mask(network, 3, place), strict=True):
        assert not worth[0][~mask].any()
    assert (found.layers[2][0] != 0).sum() <= 1, "of the pool's window only the winner matters"

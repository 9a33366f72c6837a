"""Properties of any network: shifts, order, linearity, constants, votes, and independence of the examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backends import choose_backend
from engine.bench.cases import random_parameters
from engine.nn import Network, Plan, compute_votes
from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Center,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
    Sigmoid,
    Tanh,
)
from tests.engine.layer_checks import make_plan
from tests.engine.random_networks import random_network

CPU = choose_backend("cpu")
SIDE, CHANNELS = 22, 2
SEEDS = st.integers(0, 2**32 - 1)
# Every example builds a network or two.
fewer = settings(max_examples=settings().max_examples // 3)

# Layers that keep the number of maps, and the size of them too.
EVEN: st.SearchStrategy[Layer] = st.one_of(
    st.builds(Conv2D, st.just(CHANNELS), st.sampled_from([1, 3]), padding=st.just("same"), mean=st.booleans()),
    st.sampled_from([ReLU(), LeakyReLU(), Tanh(), Sigmoid(), Center(), Dropout(), BatchNorm2D()]),
)
# Layers of stride 1.
STEADY: st.SearchStrategy[Layer] = st.one_of(
    EVEN,
    st.builds(Conv2D, st.just(CHANNELS), st.integers(1, 4), padding=st.integers(0, 2), bias=st.booleans()),
    st.builds(MaxPool2D, st.integers(1, 3), st.just(1), st.sampled_from(["keep", "drop"])),
    st.builds(AvgPool2D, st.integers(1, 3), st.just(1), st.sampled_from(["keep", "drop"])),
    st.builds(lambda layers: Residual(tuple(layers)), st.lists(EVEN, min_size=1, max_size=3)),
)
POOL: st.SearchStrategy[Layer] = st.one_of(
    *(
        st.builds(kind, st.integers(1, 5), st.integers(1, 5), st.sampled_from(["keep", "drop"]))
        for kind in (MaxPool2D, AvgPool2D)
    ),
    st.just(GlobalAvgPool()),
)


def maps_of(layers: tuple[Layer, ...], images: np.ndarray, seed: int = 1) -> np.ndarray:
    """The output of the layers, with random parameters, for images (N, C, H, W), in float64."""
    shape = images.shape[1:]
    for layer in layers:
        shape = layer.output_shape(shape)
    head = (GlobalAvgPool(), Dense(2)) if len(shape) == 3 else (Dense(2),)
    network = Network(images.shape[1:], (*layers, *head), classes=("X", "O"))
    values = random_parameters(network, np.random.default_rng(seed))
    plan = make_plan(network, CPU, len(images), values, keep_outputs=True)
    plan.forward(images)
    return plan.outputs()[len(layers)]


def reach(layers: tuple[Layer, ...]) -> int:
    """How far from the frame of the last maps a value may depend on the frame of the picture: the sum of all
    paddings."""
    return sum(reach(layer.layers) if isinstance(layer, Residual) else layer.pad_width for layer in layers)


@fewer
@given(st.lists(STEADY, min_size=1, max_size=3), st.integers(-3, 3), st.integers(-3, 3), SEEDS)
def test_a_shift_of_the_picture_shifts_the_maps(layers: list[Layer], down: int, right: int, seed: int) -> None:
    world = np.random.default_rng(seed).normal(0, 1, (1, CHANNELS, SIDE + 6, SIDE + 6))
    here = maps_of(tuple(layers), world[:, :, 3:-3, 3:-3])[0]
    there = maps_of(tuple(layers), world[:, :, 3 - down : SIDE + 3 - down, 3 - right : SIDE + 3 - right])[0]
    far = reach(tuple(layers)) + 3
    inside = here[:, far : here.shape[1] - far, far : here.shape[2] - far]
    moved = there[:, far + down : here.shape[1] - far + down, far + right : here.shape[2] - far + right]
    assert inside.size
    np.testing.assert_allclose(moved, inside, rtol=1e-9, atol=1e-11)


@fewer
@given(st.lists(STEADY, min_size=1, max_size=3), st.floats(-5, 5), SEEDS)
def test_a_constant_picture_gives_constant_maps_inside(layers: list[Layer], value: float, seed: int) -> None:
    made = maps_of(tuple(layers), np.full((1, CHANNELS, SIDE, SIDE), value), seed)[0]
    far = reach(tuple(layers))
    inside = made[:, far : made.shape[1] - far, far : made.shape[2] - far]
    assert inside.size
    np.testing.assert_allclose(inside, np.broadcast_to(inside[:, :1, :1], inside.shape), rtol=1e-9, atol=1e-11)


@fewer
@given(POOL, st.integers(1, 3), st.integers(5, 12), st.integers(5, 12), SEEDS)
def test_pooling_is_monotone_and_stays_between_the_values(
    pool: Layer, channels: int, height: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = np.round(rng.normal(0, 2, (1, channels, height, width)), 1)
    more = image + rng.integers(0, 2, image.shape) * rng.random(image.shape)
    low, high = maps_of((pool,), image), maps_of((pool,), more)
    assert (low <= high).all()
    each = (slice(None), slice(None), *(None,) * (low.ndim - 2))
    assert (low >= image.min((2, 3))[each] - 1e-12).all()
    assert (low <= image.max((2, 3))[each] + 1e-12).all()


@fewer
@given(
    st.builds(
        Conv2D,
        st.integers(1, 3),
        st.integers(1, 4),
        st.integers(1, 3),
        st.integers(0, 2),
        mean=st.booleans(),
        bias=st.just(False),
    ),
    st.floats(-3, 3),
    st.floats(-3, 3),
    SEEDS,
)
def test_convolution_without_bias_is_linear(layer: Conv2D, one: float, other: float, seed: int) -> None:
    images = np.random.default_rng(seed).normal(0, 1, (2, CHANNELS, 7, 8))
    mixed = one * images[:1] + other * images[1:]
    made = maps_of((layer,), np.concatenate([images, mixed]), seed)
    np.testing.assert_allclose(made[2], one * made[0] + other * made[1], rtol=1e-9, atol=1e-11)


@fewer
@given(SEEDS)
def test_a_bias_is_added_to_every_value_and_nothing_else(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = Network((2, 6, 5), (Conv2D(3, 3, padding=1), GlobalAvgPool(), Dense(2)), classes=("X", "O"))
    values, images = random_parameters(network, rng), rng.normal(0, 1, (2, 2, 6, 5))
    more = rng.normal(0, 1, 3)
    made = []
    for bias in (values["conv2d-1.bias"], values["conv2d-1.bias"] + more):
        plan = make_plan(network, CPU, 2, values | {"conv2d-1.bias": bias}, keep_outputs=True)
        plan.forward(images)
        made.append(plan.outputs()[1])
    np.testing.assert_allclose(made[1] - made[0], np.broadcast_to(more[:, None, None], made[0].shape), rtol=1e-9)


@fewer
@given(SEEDS, st.integers(1, 5))
def test_pictures_of_a_batch_do_not_know_of_each_other(seed: int, batch: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    values, images = random_parameters(network, rng), rng.normal(0, 1, (batch, *network.input_shape))
    together = make_plan(network, CPU, batch, values).forward(images)
    alone = make_plan(network, CPU, 1, values)
    for place in range(batch):
        score = alone.forward(images[place : place + 1])[:, 0]
        np.testing.assert_allclose(together[:, place], score, rtol=1e-9, atol=1e-11)


@fewer
@given(SEEDS)
def test_a_plan_that_keeps_nothing_gives_the_same(seed: int) -> None:
    """It may run a ReLU after the pool that follows it.

    Not on integers: means of different integers with one sum are a tie that rounding decides, and the decision of a
    leaky ReLU before the pool is another one than that of the pool before it, equally right.
    """
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    check_that_keeping_makes_no_difference(network, rng.normal(0, 1, (3, *network.input_shape)), rng)


# Layers that compute with small integers exactly.
EXACT: st.SearchStrategy[Layer] = st.one_of(
    st.sampled_from([ReLU(), LeakyReLU(0.5), LeakyReLU(1)]),
    st.builds(MaxPool2D, st.integers(1, 3), st.integers(1, 3)),
)


@fewer
@given(st.lists(EXACT, min_size=2, max_size=5), SEEDS)
def test_a_plan_that_keeps_nothing_decides_ties_alike(layers: list[Layer], seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = Network((2, 9, 8), (*layers, Flatten(), Dense(2)), classes=("X", "O"))
    check_that_keeping_makes_no_difference(network, rng.integers(-4, 3, (3, *network.input_shape)), rng)


def check_that_keeping_makes_no_difference(network: Network, images: np.ndarray, rng: np.random.Generator) -> None:
    """Scores and gradients for three images, with and without keeping the outputs of the layers."""
    values, shares = random_parameters(network, rng), rng.dirichlet([1, 1], 3)
    found = []
    for keep in (True, False):
        plan = make_plan(network, CPU, 3, values, learn=True, input_gradient=True, keep_outputs=keep)
        scores = plan.forward(images).copy()
        plan.backward(shares)
        found.append((scores, plan.gradient_vector, plan.input_gradient()))
    for kept, quickly in zip(*found, strict=True):
        np.testing.assert_allclose(quickly, kept, rtol=1e-9, atol=1e-11)


@fewer
@given(st.lists(st.floats(-(2.0**127), 2.0**127, width=32), min_size=2, max_size=5))
def test_votes_are_shares_that_sum_to_one(scores: list[float]) -> None:
    classes = tuple("ABCDE"[: len(scores)])
    network = Network((1, 1, 1), (Flatten(), Dense(len(scores))), classes)
    given_scores = np.array(scores, np.float32)
    with np.errstate(over="ignore"):  # differences beyond float32 are votes of 0
        votes = compute_votes(network, given_scores)
    assert votes.sum() == pytest.approx(1, abs=1e-6)
    assert votes.min() >= 0
    assert votes[given_scores.argmax()] == votes.max()
    plan = Plan(network, CPU, 1, learn=True)
    plan.load({"dense-1.weight": np.zeros((len(scores), 1)), "dense-1.bias": given_scores})
    with np.errstate(over="ignore", invalid="ignore"):  # as a training step does, which checks for NaN itself
        plan.forward(np.zeros((1, 1, 1, 1)))
        plan.backward(np.eye(len(scores))[:1])
    np.testing.assert_allclose(plan.votes[:, 0], votes, rtol=1e-5, atol=1e-7)


@fewer
@given(SEEDS)
def test_values_that_cannot_be_below_0_are_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    plan = make_plan(network, CPU, 3, random_parameters(network, rng), keep_outputs=True)
    plan.forward(rng.normal(0, 2, (3, *network.input_shape)))
    for signed, output in zip(network.can_be_negative, plan.outputs(), strict=True):
        assert signed or output.min() >= 0

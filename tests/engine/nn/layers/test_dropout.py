"""Dropout: the values it keeps, and that its masks depend on seed, step, layer, example and index alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.nn import Network, Plan
from engine.nn.layers import Conv2D, Dense, Dropout, Flatten, Layer, Residual, derive_rng_key
from engine.training import SGD, TrainingConfig, TrainStep
from engine.training import train_step as stepper_module
from tests.engine.layer_checks import make_plan

CPU = choose_backend("cpu")


def dropped(
    *layers: Layer, batch: int = 1, seed: int = 0, step: int = 0, first: int = 0, training: bool = True
) -> list[np.ndarray]:
    """The output of the layers for images of ones, (N, 2, 20, 25) each."""
    network = Network((2, 20, 25), (*layers, Flatten(), Dense(2)), classes=("X", "O"))
    values = network.initial_parameters(1)
    plan = make_plan(network, CPU, batch, values, keep_outputs=True, training=training, seed=seed)
    plan.rng_counter[...] = step, first
    plan.forward(np.ones((batch, 2, 20, 25)))
    return plan.outputs()[1 : len(layers) + 1]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.75, 0.999])
def test_the_share_that_is_left_is_scaled_to_make_up_for_the_rest(rate: float) -> None:
    (made,) = dropped(Dropout(rate), batch=100)
    left = made != 0
    np.testing.assert_array_equal(made[left], 1 / (1 - rate))
    # The share of 100,000 values, within four standard deviations.
    assert left.mean() == pytest.approx(1 - rate, abs=4 * np.sqrt(rate * (1 - rate) / left.size))
    by_example, by_place = left.mean((1, 2, 3)), left.mean(0)
    assert abs(by_example - 1 + rate).max() < 5 * np.sqrt(rate * (1 - rate) / by_place.size)
    assert abs(by_place - 1 + rate).max() < 5 * np.sqrt(rate * (1 - rate) / len(by_example)) + 0.01


def test_without_a_rate_nothing_is_dropped() -> None:
    np.testing.assert_array_equal(dropped(Dropout(0), batch=3)[0], 1)


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """The share of values that both masks treat alike; a half if they are independent, at rate 0.5."""
    return float(((one != 0) == (other != 0)).mean())


def test_coins_of_another_seed_step_layer_example_or_place_are_others() -> None:
    base, second = dropped(Dropout(), Dropout(), batch=40)
    # The second layer's zeros include the first's; its own mask is visible where the first kept a value.
    left = base != 0
    assert second[left].astype(bool).mean() == pytest.approx(0.5, abs=0.02)
    others = {
        "seed": dropped(Dropout(), batch=40, seed=1)[0],
        "large seed": dropped(Dropout(), batch=40, seed=2**40)[0],
        "step": dropped(Dropout(), batch=40, step=1)[0],
        "late step": dropped(Dropout(), batch=40, step=2**31)[0],
        "example": np.roll(base, 1, 0),
        "channel": np.roll(base, 1, 1),
        "row": np.roll(base, 1, 2),
        "column": np.roll(base, 1, 3),
    }
    for what, other in others.items():
        assert agreement(base, other) == pytest.approx(0.5, abs=0.02), what


def test_layers_inside_stacks_toss_their_own() -> None:
    inner = Residual((Dropout(), Residual((Dropout(),))))
    stacked, plain = dropped(inner, Dropout(), batch=20)
    # x + d1 + d1 * d2 with ones: 1 where d1 dropped it, 3 where d2 did, 7 where both kept it.
    assert set(np.unique(stacked)) == {1, 3, 7}
    assert (stacked == 1).mean() == pytest.approx(0.5, abs=0.02)
    assert (stacked == 7).mean() == pytest.approx(0.25, abs=0.02)
    assert agreement(stacked - 1, plain) == pytest.approx(0.5, abs=0.02)


def test_no_two_layers_of_networks_that_anyone_builds_share_a_key() -> None:
    keys = {derive_rng_key(seed, place) for seed in range(20) for place in range(1, 1001)}
    keys |= {derive_rng_key(derive_rng_key(1, place), inner) for place in range(1, 101) for inner in range(1, 101)}
    assert len(keys) == 20 * 1000 + 100 * 100
    assert max(keys) < 2**32


def test_the_same_seed_and_step_toss_the_same_however_the_batch_is_cut() -> None:
    whole = dropped(Dropout(0.3), Residual((Dropout(),)), batch=7, seed=3, step=5)
    for cut in ((0, 3, 7), (0, 1, 2, 3, 4, 5, 6, 7)):
        for first, last in pairwise(cut):
            part = dropped(Dropout(0.3), Residual((Dropout(),)), batch=last - first, seed=3, step=5, first=first)
            for got, expected in zip(part, whole, strict=True):
                np.testing.assert_array_equal(got, expected[first:last])


def test_reading_passes_everything_on() -> None:
    plain, stacked = dropped(Dropout(0.9), Residual((Dropout(0.9),)), batch=2, training=False)
    np.testing.assert_array_equal(plain, 1)
    np.testing.assert_array_equal(stacked, 2)
    network = Network((1, 4, 4), (Dropout(0.9), Flatten(), Dense(2)), classes=("X", "O"))
    plan = make_plan(
        network, CPU, 1, network.initial_parameters(1), learn=True, input_gradient=True, training=False
    )
    plan.forward(np.ones((1, 1, 4, 4)))
    plan.backward(np.array([[1.0, 0]]))
    assert (plan.input_gradient() != 0).all()


def test_the_gradient_passes_where_the_value_did_and_nowhere_else() -> None:
    network = Network((1, 9, 9), (Dropout(0.4), Flatten(), Dense(2)), classes=("X", "O"))
    options = {"learn": True, "input_gradient": True, "keep_outputs": True, "seed": 8}
    plan = make_plan(network, CPU, 3, network.initial_parameters(1), **options)
    plan.rng_counter[...] = 4, 2
    plan.forward(np.ones((3, 1, 9, 9)))
    plan.backward(np.tile([0.8, 0.2], (3, 1)))
    np.testing.assert_array_equal(plan.input_gradient() != 0, plan.outputs()[1] != 0)


def test_a_frozen_layer_drops_nothing() -> None:
    network = Network((1, 9, 9), (Dropout(0.4), Flatten(), Dense(2)), classes=("X", "O"))
    plan = Plan(network, CPU, 1, keep_outputs=True, learn=True, frozen=("dropout-1",))
    plan.load(network.initial_parameters(1))
    plan.forward(np.ones((1, 1, 9, 9), np.float32))
    np.testing.assert_array_equal(plan.outputs()[1], 1)


@pytest.mark.parametrize("layer", [Dropout(0.3), Residual((Dropout(), Conv2D(3, 1)))])
def test_a_step_of_learning_does_not_depend_on_how_it_is_cut(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network((1, 6, 6), (Conv2D(3, 3), layer, Flatten(), Dense(2)), classes=("X", "O"))
    rng = np.random.default_rng(2)
    images = rng.normal(0, 1, (30, 1, 6, 6)).astype(np.float32)
    shares = rng.dirichlet([1, 1], 30).astype(np.float32)
    order = np.stack([rng.permutation(30)[:11] for _ in range(3)])
    found = []
    for cache in (1, 3_000, 10**9):
        monkeypatch.setattr(stepper_module, "CACHE_BYTES", cache)
        stepper = TrainStep(network, CPU, TrainingConfig(SGD(0.1), batch=11, seed=6), network.initial_parameters(1))
        stepper.load_epoch(images, shares, order, np.full(3, 0.1, np.float32))
        stepper.run(11, 3)
        found.append((stepper.parameters(), stepper.losses(0, 3)))
    for parameters, losses in found[1:]:
        np.testing.assert_allclose(losses, found[0][1], rtol=1e-5)
        for name, value in parameters.items():
            np.testing.assert_allclose(value, found[0][0][name], rtol=1e-4, atol=1e-6)

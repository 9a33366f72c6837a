"""Nudging and backpropagation compared: the cost of each pass, and the progress of each rule for it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.xo import article_examples
from engine.documents import TRAINABLE_WALKTHROUGH
from engine.nn import Network
from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
    Shape,
    Sigmoid,
    Tanh,
    Votes,
)
from engine.nudging import NudgingConfig, RuleCurve, backward_multiplies, compare_rules, forward_multiplies
from engine.training import SGD, TrainingConfig

ARTICLE = article_examples()
START = TRAINABLE_WALKTHROUGH.initial_parameters(1)
MARKS = [10_000, 100_000, 1_000_000, 3_000_000]


@pytest.mark.parametrize(
    ("layer", "shape", "forward", "parameters", "below"),
    [
        (Conv2D(3, 3), (1, 9, 9), 3 * 49 * 9, 3 * 49 * 9, 3 * 49 * 9),
        (Conv2D(4, 3, padding="same", bias=False), (2, 5, 6), 4 * 30 * 18, 4 * 30 * 18, 4 * 30 * 18),
        (Dense(2), (12,), 24, 24, 24),
        (ReLU(), (2, 3, 3), 0, 0, 0),
        (MaxPool2D(), (2, 4, 4), 0, 0, 0),
        (Flatten(), (2, 3, 3), 0, 0, 0),
        (LeakyReLU(), (2, 3, 3), 18, 0, 18),
        (Tanh(), (2, 3, 3), 18, 0, 36),  # y * y, and dy times what that leaves
        (Sigmoid(), (5,), 5, 0, 10),
        (AvgPool2D(), (2, 4, 4), 8, 0, 8),
        (GlobalAvgPool(), (3, 4, 4), 3, 0, 3),
        (Votes(((0,), (1, 2))), (3,), 2, 0, 2),
        (BatchNorm2D(), (2, 3, 3), 36, 18, 18),
        # The input gradient of the second layer inside (72) is always computed; the first's is the block's.
        (Residual((Conv2D(4, 1), ReLU(), Conv2D(2, 1))), (2, 3, 3), 144, 144 + 72, 72),
    ],
)
def test_multiplies_of_a_layer_by_hand(
    layer: Layer, shape: Shape, forward: int, parameters: int, below: int
) -> None:
    assert layer.multiplies(shape) == forward
    assert layer.gradient_multiplies(shape) == (parameters, below)


def test_multiplies_of_a_network_by_hand() -> None:
    """Two convolutions (9 * 9 * 9 * 2 and 9 * 9 * 18 * 3 multiplies) and a last layer (243 * 2)."""
    network = Network(
        (1, 9, 9),
        (Conv2D(2, 3, padding=1), ReLU(), Conv2D(3, 3, padding=1), Flatten(), Dense(2)),
        classes=("X", "O"),
    )
    first, second, last = 1458, 4374, 486
    assert forward_multiplies(network) == first + second + last
    assert forward_multiplies(network, 2) == second + last
    # The picture needs no gradient, so the first layer computes none.
    assert backward_multiplies(network) == first + 2 * second + 2 * last
    assert backward_multiplies(network, ["conv2d-1"]) == second + 2 * last
    assert backward_multiplies(network, ["conv2d-2"]) == first + second + 2 * last
    assert backward_multiplies(network, ["conv2d-1", "conv2d-2"]) == last
    assert backward_multiplies(network, network.names[1:]) == 0


@pytest.fixture(scope="module")
def curves() -> list[RuleCurve]:
    return compare_rules(
        TRAINABLE_WALKTHROUGH,
        ARTICLE,
        START,
        MARKS,
        TrainingConfig(SGD(0.1, momentum=0), batch=1, epochs=1000),
        NudgingConfig(0.3),
    )


def test_both_rules_start_alike_and_learn(curves: list[RuleCurve]) -> None:
    starts = {curve.errors[0] for curve in curves}
    assert len(starts) == 1
    for curve in curves:
        assert curve.multiplies[0] == curve.updates[0] == 0
        assert curve.errors[-1] < 0.1 * curve.errors[0], curve.rule


def test_points_are_the_first_moments_at_which_marks_are_reached(curves: list[RuleCurve]) -> None:
    for curve in curves:
        for mark, spent in zip(MARKS, curve.multiplies[1:], strict=True):
            assert mark <= spent < mark + 2 * 2718, curve.rule


def test_what_was_spent_by_hand(curves: list[RuleCurve]) -> None:
    """A picture costs 1323 + 24 forward, and 1323 + 2 * 24 backward."""
    backpropagation, spared, whole = curves
    assert backpropagation.multiplies[1:] == [update * (1347 + 1371) for update in backpropagation.updates[1:]]
    for spent, nudges in zip(whole.multiplies[1:], whole.updates[1:], strict=True):
        assert spent == 1347 * (2 * nudges + -(-nudges // 56))
    # The first 10,000 are spent in the first layer, where every pass is a whole one.
    assert (spared.multiplies[1], spared.updates[1]) == (whole.multiplies[1], whole.updates[1])
    assert spared.updates[-1] > 1.5 * whole.updates[-1]


def test_backpropagation_gets_further_for_the_same_multiplies(curves: list[RuleCurve]) -> None:
    backpropagation, spared, whole = curves
    assert backpropagation.errors[2] < 0.2 < min(spared.errors[2], whole.errors[2])


def test_examples_of_a_shorter_last_batch_are_counted_as_they_are() -> None:
    config, nudging = TrainingConfig(SGD(0.1, momentum=0), batch=4, epochs=10), NudgingConfig(0.3, batch=4)
    backpropagation, _, whole = compare_rules(
        TRAINABLE_WALKTHROUGH, ARTICLE, START, [60_000, 620_000], config, nudging
    )
    # 4 + 4 + 2 pictures an epoch: the first 60,000 are reached with 24 pictures, the 7th update.
    assert (backpropagation.updates[1], backpropagation.multiplies[1]) == (7, 24 * 2718)
    assert whole.multiplies[1] == 1347 * 4 * (2 * whole.updates[1] + 1)


def test_the_same_seed_gives_the_same_curves(curves: list[RuleCurve]) -> None:
    config = TrainingConfig(SGD(0.1, momentum=0), batch=1, epochs=1000)
    again = compare_rules(TRAINABLE_WALKTHROUGH, ARTICLE, START, MARKS[:2], config, NudgingConfig(0.3))
    for curve, other in zip(curves, again, strict=True):
        assert curve.errors[:3] == other.errors
        assert np.isfinite(curve.errors).all()

"""Hanuschkin's network, and the mean that it subtracts from its pictures."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import Dataset, FixedSource
from engine.documents.presets import HANUSCHKIN
from engine.nn import Network, Plan
from engine.nn.layers import Center, Conv2D, Dense, Flatten, ReLU, ShapeError
from engine.training import Trainer, TrainingConfig

CPU = choose_backend("cpu")
SMALL = Network((1, 6, 6), (Center(), Conv2D(2, 3, padding=1), ReLU(), Flatten(), Dense(2)), classes=("X", "O"))


def some(count: int = 10, side: int = 6, seed: int = 1) -> Dataset:
    """Pictures that are mostly background."""
    rng = np.random.default_rng(seed)
    images = np.where(rng.random((count, 1, side, side)) < 0.2, 1, -1).astype(np.float32)
    return Dataset(images, np.arange(count) % 2, ("X", "O"))


def test_it_has_the_shapes_and_the_number_of_parameters_that_its_author_gives() -> None:
    network = HANUSCHKIN.network
    assert sum(cost.parameters for cost in network.costs) == 161_682
    sides = [shape[1] for shape in network.shapes if len(shape) == 3]
    assert sides == [116, 116, 115, 115, 56, 55, 55, 26, 21, 21, 10]


def test_its_first_features_begin_as_small_as_its_author_s() -> None:
    weights = HANUSCHKIN.network.initial_parameters(3)["conv2d-1.weight"]
    assert weights.std() == pytest.approx(0.0001, rel=0.1)


def test_a_fresh_run_centres_its_pictures_on_their_mean() -> None:
    given = some()
    trainer = Trainer(SMALL, FixedSource(given), TrainingConfig(batch=4, epochs=2), CPU)
    list(trainer.run())
    values = trainer.parameters()
    np.testing.assert_allclose(values["center-1.mean"], [given.images.mean(dtype=np.float64)], rtol=1e-6)
    plan = Plan(SMALL, CPU, len(given), keep_outputs=True)
    plan.load(values)
    plan.forward(given.images)
    assert plan.outputs()[1].mean() == pytest.approx(0, abs=1e-6)


def test_a_run_that_goes_on_keeps_the_mean_it_began_with() -> None:
    config = TrainingConfig(batch=4, epochs=2)
    first = Trainer(SMALL, FixedSource(some()), config, CPU)
    next(first.run())
    checkpoint = first.checkpoint()
    again = Trainer(SMALL, FixedSource(some(seed=2)), config, CPU, resume_from=checkpoint)
    assert again.parameters()["center-1.mean"] == checkpoint.parameters["center-1.mean"]
    given = Trainer(SMALL, FixedSource(some()), config, CPU, initial_parameters=SMALL.initial_parameters(1))
    assert given.parameters()["center-1.mean"] == 0


def test_pictures_that_do_not_fit_are_refused_before_they_are_measured() -> None:
    with pytest.raises(ShapeError, match="The network's input is 1 × 6 × 6, but the examples are 1 × 7 × 7"):
        Trainer(SMALL, FixedSource(some(side=7)), TrainingConfig(), CPU)

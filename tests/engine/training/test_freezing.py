"""Frozen layers do not change by a byte, and the others learn as if they were a fixed function."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from engine.data import Dataset, FixedSource
from engine.nn import Network, Plan
from engine.nn.layers import BatchNorm2D, Conv2D, Dense, Flatten, MaxPool2D, ReLU, Tanh
from engine.training import SGD, AdamW, Optimizer, Trainer, TrainingConfig
from engine.training.optimizers import Adam
from tests.engine.small_runs import CPU, DATA, MIXED, generated_source

OPTIMIZERS = [SGD(0.05), SGD(0.05, 0.5, nesterov=True), Adam(0.01), AdamW(0.01, decay=0.3)]
FROZEN = [
    ("conv2d-1",),
    ("batchnorm2d-1",),
    ("residual-1",),
    ("dense-1",),
    ("conv2d-1", "batchnorm2d-1", "residual-1"),
    ("conv2d-1", "batchnorm2d-1", "residual-1", "dense-1"),
]


def belongs(name: str, layers: tuple[str, ...]) -> bool:
    return any(name.startswith(f"{layer}.") for layer in layers)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: f"{optimizer.kind}{optimizer.rate}")
@pytest.mark.parametrize("frozen", FROZEN, ids="+".join)
def test_not_a_byte_of_a_frozen_layer_changes(optimizer: Optimizer, frozen: tuple[str, ...]) -> None:
    """The values include both zeros, because -0 plus 0 is 0."""
    config = TrainingConfig(
        optimizer, batch=16, epochs=2, l2=0.1, clip=1.0, frozen=frozen, examples=40, data=DATA, seed=2
    )
    start = MIXED.initial_parameters(2)
    for values in start.values():
        values.ravel()[:2] = -0.0, 0.0
    trainer = Trainer(MIXED, generated_source(config), config, CPU, start)
    assert len(list(trainer.run())) == 6
    for name, values in trainer.parameters().items():
        assert (values.tobytes() == start[name].tobytes()) is belongs(name, frozen), name
    remembered = {name: values for name, values in trainer.checkpoint().optimizer_state.items() if name != "count"}
    for name, values in remembered.items():
        assert values.any() != belongs(name.partition(".")[2], frozen), name


# What comes out of the frozen part is pictures again: one map of values from -1 to 1.
BELOW = (Conv2D(1, 3, padding="same"), BatchNorm2D(), Tanh())
# No bias where batch norm follows: nothing pulls at it but roundings, which Adam would make large.
ABOVE = (Conv2D(3, 3, bias=False), BatchNorm2D(), ReLU(), MaxPool2D(), Flatten(), Dense(2))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: f"{optimizer.kind}{optimizer.rate}")
@pytest.mark.parametrize("clip", [None, 0.1])
def test_the_others_learn_as_from_pictures_that_the_frozen_ones_made(
    optimizer: Optimizer, clip: float | None
) -> None:
    given = generated_source(TrainingConfig(examples=48, data=DATA)).epoch(0)
    whole = Network((1, 12, 12), (*BELOW, *ABOVE), classes=("X", "O"))
    rest = Network((1, 12, 12), ABOVE, ids=whole.ids[3:], classes=("X", "O"))
    start = whole.initial_parameters(1)
    start["batchnorm2d-1.mean"], start["batchnorm2d-1.variance"] = np.float32([0.2]), np.float32([0.7])
    plan = Plan(Network((1, 12, 12), (*BELOW, *ABOVE), classes=("X", "O")), CPU, len(given), keep_outputs=True)
    plan.load(start)
    plan.forward(given.images)
    made = Dataset(plan.outputs()[3], given.labels, given.classes)

    config = TrainingConfig(optimizer, batch=16, epochs=3, l2=0.01, clip=clip, seed=1)
    frozen = TrainingConfig(
        optimizer, batch=16, epochs=3, l2=0.01, clip=clip, seed=1, frozen=("conv2d-1", "batchnorm2d-1", "tanh-1")
    )
    above = {name: values for name, values in start.items() if name in rest.parameter_shapes}
    one, other = (
        Trainer(whole, FixedSource(given), frozen, CPU, start),
        Trainer(rest, FixedSource(made), config, CPU, above),
    )
    losses = [[step.loss for step in islice(trainer.run(), 9)] for trainer in (one, other)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    for name, values in other.parameters().items():
        twin = one.parameters()[name]
        np.testing.assert_allclose(twin, values, rtol=1e-3, atol=1e-5, err_msg=name)
        assert not np.array_equal(values, above[name])

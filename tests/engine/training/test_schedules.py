"""Schedules against their formulas; a run uses exactly these rates, resumed or not."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice, pairwise

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import Dataset, FixedSource
from engine.nn import Network
from engine.nn.layers import Dense, Flatten
from engine.training import SCHEDULES, AdamW, Cosine, Schedule, StepDone, Trainer, TrainingConfig
from engine.training.config import Linear, StepDecay

# Five blank pictures that are neither: nothing pulls at a weight, so that what decay leaves of it tells the rate.
BLANK = FixedSource(Dataset(np.zeros((5, 1, 1, 1), np.float32), np.full(5, -1), ("X", "O")))
NETWORK = Network((1, 1, 1), (Flatten(), Dense(2, bias=False)), classes=("X", "O"))
ONES = {"dense-1.weight": np.ones((2, 1), np.float32)}
STEPS = 12  # four epochs of three batches of two, the last of one

# What each schedule makes of the rate at a step, in its own words, and for how many steps it warms up.
CURVES: list[tuple[Schedule, Callable[[int], float]]] = [
    (Schedule(), lambda step: 1.0),
    (Schedule(warmup=0.25), lambda step: min(step, 3) / 3),
    (Cosine(0.1), lambda step: 0.1 + 0.9 * (1 + math.cos(math.pi * step / 12)) / 2),
    (
        Cosine(0.0, warmup=0.5),
        lambda step: step / 6 if step < 6 else (1 + math.cos(math.pi * (step - 6) / 6)) / 2,
    ),
    (Linear(0.25), lambda step: 1 - 0.75 * step / 12),
    (Linear(warmup=0.25), lambda step: step / 3 if step < 3 else 1 - (step - 3) / 9),
    (StepDecay(3, 0.1), lambda step: 0.1 ** (step // 4)),
    (StepDecay(6, 0.5, warmup=0.5), lambda step: step / 6 if step < 6 else 0.5 ** (step - 6)),
]


def trainer(schedule: Schedule, resumed: Trainer | None = None) -> Trainer:
    config = TrainingConfig(AdamW(0.5, decay=0.5), schedule, batch=2, epochs=4)
    return Trainer(NETWORK, BLANK, config, choose_backend("cpu"), ONES, None, resumed and resumed.checkpoint())


@pytest.mark.parametrize(("schedule", "curve"), CURVES, ids=[repr(schedule) for schedule, _ in CURVES])
@pytest.mark.parametrize("pause", [None, 0, 4, 6])
def test_a_run_moves_with_the_rates_of_its_schedule(
    schedule: Schedule, curve: Callable[[int], float], pause: int | None
) -> None:
    run, steps, weights = trainer(schedule), [], [1.0]

    def go_on(run: Trainer, count: int) -> None:
        for step in islice(run.run(), count):
            assert isinstance(step, StepDone)
            steps.append(step)
            weights.append(float(run.parameters()["dense-1.weight"][1, 0]))

    if pause is not None:
        go_on(run, pause)
        run = trainer(schedule, run)
    go_on(run, STEPS)
    rates = [0.5 * curve(step) for step in range(STEPS)]
    np.testing.assert_allclose([step.rate for step in steps], rates, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        [1 - b / a for a, b in pairwise(weights)], np.array(rates) * 0.5, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("parts", [2, 3, 7, 29, 100])
def test_a_stair_ends_exactly_where_its_part_does(parts: int) -> None:
    """Regardless of how the quotients round."""
    schedule = StepDecay(parts, 0.5)
    for total in (parts, 3 * parts, 210, 1000):
        stairs = [round(-math.log2(schedule.factor(step / total))) for step in range(total)]
        assert stairs == [step * parts // total for step in range(total)]


@pytest.mark.parametrize("kind", SCHEDULES)
def test_every_schedule_starts_full_and_stays_between_0_and_1(kind: str) -> None:
    factors = [SCHEDULES[kind]().factor(step / 500) for step in range(501)]
    assert factors[0] == 1
    assert all(0 <= after <= before for before, after in pairwise(factors))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Schedule(warmup=1), "warmup must be at least 0 and below 1"),
        (lambda: Cosine(warmup=-0.1), "warmup must be at least 0"),
        (lambda: Cosine(2), "final must be from 0 to 1"),
        (lambda: Linear(math.nan), "final must be from 0 to 1"),
        (lambda: StepDecay(1), "at least 2 parts"),
        (lambda: StepDecay(3, 1.5), "factor_each must be from 0 to 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


def test_steps_have_no_further_step_at_the_very_end() -> None:
    assert [StepDecay(3, 0.1).shape(done) for done in (0.0, 0.99, 1.0)] == pytest.approx([1, 0.01, 0.01])

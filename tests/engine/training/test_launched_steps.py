"""Steps launched together, as on a GPU, equal steps launched one by one."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import GeneratedSource
from engine.data.xo import XOSettings
from engine.nn import Network
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from engine.training import SGD, StepDone, Trainer, TrainingConfig, TrainingError
from engine.training.optimizers import Adam

CPU = choose_backend("cpu")
DATA = XOSettings(side=12, size=(0.6, 1.0))
NETWORK = Network(
    (1, 12, 12), (Conv2D(4, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O")
)
CONFIG = TrainingConfig(Adam(0.01), batch=10, epochs=3, examples=47, data=DATA)


def trainer_of(stride: int, config: TrainingConfig = CONFIG, judged: bool = False) -> Trainer:
    source = GeneratedSource(DATA, config.examples, 1)
    held_out = source.held_out(20) if judged else None
    return Trainer(NETWORK, source, config, CPU, held_out=held_out, steps_per_call=stride)


def told(trainer: Trainer) -> list[tuple[object, ...]]:
    return [
        (event.number, event.epoch, event.loss, event.mean_loss, event.rate)
        if isinstance(event, StepDone)
        else (event.number, event.epoch, event.evaluation.metrics.loss)
        for event in trainer.run()
    ]


@pytest.mark.parametrize("judged", [False, True])
@pytest.mark.parametrize("stride", [2, 3, 4, 32])
def test_all_steps_are_told_and_are_the_same(stride: int, judged: bool) -> None:
    singly, together = trainer_of(1, judged=judged), trainer_of(stride, judged=judged)
    assert told(together) == told(singly)
    assert together.stop_reason == singly.stop_reason == "epochs"
    for name, values in singly.parameters().items():
        np.testing.assert_array_equal(together.parameters()[name], values)
    assert together.checkpoint().steps == 15


def test_a_run_left_between_two_told_steps_stands_behind_all_that_are_made() -> None:
    trainer, whole = trainer_of(4), trainer_of(1)
    list(islice(trainer.run(), 2))
    assert trainer.steps_made == 4
    list(islice(whole.run(), 4))
    for name, values in whole.parameters().items():
        np.testing.assert_array_equal(trainer.checkpoint().parameters[name], values)
    assert [event.number for event in trainer.run()] == list(range(5, 16))


def test_a_run_left_before_its_last_steps_are_told_is_over() -> None:
    trainer = trainer_of(32, replace(CONFIG, epochs=1, examples=40))
    list(islice(trainer.run(), 1))
    assert list(trainer.run()) == []
    assert trainer.stop_reason == "epochs"


def test_divergence_within_a_stride_keeps_the_steps_before_it() -> None:
    ends = []
    for stride in (1, 3):
        trainer = trainer_of(stride, replace(CONFIG, optimizer=SGD(1e12)))
        steps = []
        with pytest.raises(TrainingError) as error:
            steps.extend(trainer.run())
        ends.append(
            (str(error.value), trainer.steps_made, {n: v.tobytes() for n, v in trainer.parameters().items()})
        )
    assert ends[0] == ends[1]

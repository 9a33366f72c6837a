"""Descriptions of the differences between configurations."""

from __future__ import annotations

import pytest

from engine.training import SGD, Cosine, TrainingConfig, describe_changes
from engine.training.optimizers import Adam


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (TrainingConfig(), []),
        (TrainingConfig(Adam(0.5)), ["rate 0.5"]),
        (TrainingConfig(SGD(0.5)), ["SGD", "rate 0.5", "momentum 0.9"]),
        (TrainingConfig(SGD(0.001, 0.9, True)), ["SGD", "momentum 0.9", "Nesterov"]),
        (TrainingConfig(schedule=Cosine()), ["Cosine", "at the end 0.01"]),
        (TrainingConfig(clip=2.0, frozen=("conv2d-1", "conv2d-2")), ["clip 2", "frozen conv2d-1, conv2d-2"]),
        (TrainingConfig(batch=7, steps=20, seconds=1.5), ["batch 7", "steps 20", "time 1.5"]),
    ],
)
def test_there(after: TrainingConfig, words: list[str]) -> None:
    assert describe_changes(TrainingConfig(), after) == words


def test_and_back() -> None:
    assert describe_changes(TrainingConfig(clip=1.0, frozen=("a",), steps=5), TrainingConfig()) == [
        "no clip",
        "no frozen",
        "no steps",
    ]
    assert describe_changes(TrainingConfig(SGD(nesterov=True)), TrainingConfig(SGD())) == ["no Nesterov"]

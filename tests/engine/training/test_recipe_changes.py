"""Descriptions of the differences between recipes."""

from __future__ import annotations

import pytest

from engine.training import SGD, Cosine, Recipe, describe_changes
from engine.training.optimizers import Adam


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (Recipe(), []),
        (Recipe(Adam(0.5)), ["rate 0.5"]),
        (Recipe(SGD(0.5)), ["SGD", "rate 0.5", "momentum 0.9"]),
        (Recipe(SGD(0.001, 0.9, True)), ["SGD", "momentum 0.9", "Nesterov"]),
        (Recipe(schedule=Cosine()), ["Cosine", "at the end 0.01"]),
        (Recipe(clip=2.0, frozen=("01-conv2d", "04-conv2d")), ["clip 2", "frozen 01-conv2d, 04-conv2d"]),
        (Recipe(batch=7, steps=20, seconds=1.5), ["batch 7", "steps 20", "time 1.5"]),
    ],
)
def test_there(after: Recipe, words: list[str]) -> None:
    assert describe_changes(Recipe(), after) == words


def test_and_back() -> None:
    assert describe_changes(Recipe(clip=1.0, frozen=("a",), steps=5), Recipe()) == [
        "no clip",
        "no frozen",
        "no steps",
    ]
    assert describe_changes(Recipe(SGD(nesterov=True)), Recipe(SGD())) == ["no Nesterov"]

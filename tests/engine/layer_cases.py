"""One table of layers with the input shapes they are tried on; every test of layers runs over it. Not a test."""

from __future__ import annotations

from engine.layers import Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU, Shape, Votes

CASES: list[tuple[Layer, Shape]] = [
    (Conv2D(3, 3), (1, 7, 7)),
    (Conv2D(3, 3, mean=True), (1, 9, 9)),
    (Conv2D(4, 3, padding="same"), (3, 6, 5)),
    (Conv2D(2, 5, padding="same", mean=True), (2, 7, 6)),
    (Conv2D(3, 2, stride=2), (2, 7, 5)),
    (Conv2D(2, 4, stride=3, padding=2), (3, 9, 7)),
    (Conv2D(2, 3, stride=2, padding=3, bias=False), (2, 5, 8)),
    (Conv2D(5, 1), (3, 4, 4)),
    (Conv2D(2, 2, stride=4), (1, 9, 9)),
    (Conv2D(2, 3, padding=1, bias=False, mean=True), (1, 3, 3)),
    (ReLU(), (3, 5, 4)),
    (ReLU(), (11,)),
    (MaxPool2D(), (2, 7, 7)),
    (MaxPool2D(), (2, 6, 8)),
    (MaxPool2D(edge="drop"), (2, 7, 5)),
    (MaxPool2D(3, 2), (3, 8, 7)),
    (MaxPool2D(3, 2, "drop"), (3, 8, 7)),
    (MaxPool2D(5, 2), (2, 9, 12)),
    (MaxPool2D(3, 1), (2, 5, 5)),
    (MaxPool2D(2, 3), (2, 8, 7)),
    (MaxPool2D(1, 3), (1, 5, 8)),
    (MaxPool2D(4, 4), (1, 3, 3)),
    (Flatten(), (3, 2, 4)),
    (Dense(4), (6,)),
    (Dense(3, bias=False), (5,)),
    (Votes(((0, 2), (1, 3, 4))), (5,)),
]


def name_of(case: tuple[Layer, Shape]) -> str:
    """The case as pytest shows it."""
    layer, shape = case
    return f"{layer}-{'x'.join(map(str, shape))}"

"""Contributions to every class: each column adds up to its score, and so does the split at every layer."""

from __future__ import annotations

import numpy as np
import pytest

from engine.explain.explainer import Explainer
from engine.explain.queries import Question
from engine.nn.layers import AvgPool2D, Conv2D, Dense, Flatten, LeakyReLU, ReLU
from engine.nn.model import Subject
from engine.nn.network import Network
from tests.xo_gui.views.network.test_network_view import ARTICLE, X, read
from xo_gui.state.selection import Cell
from xo_gui.views.inspector.sheet_blocks import Block, Table
from xo_gui.views.inspector.vote_breakdown import given_to_classes, split_up


def table(blocks: list[Block]) -> Table:
    return next(block for block in blocks if isinstance(block, Table))


def numbers(made: Table, column: int) -> list[float]:
    return [float(row.texts[column].replace("−", "-")) for row in made.rows if row.texts[column]]


def test_strong_values_of_the_articles_x_contribute_a_fifth_or_a_fourth() -> None:
    """The slides' list of the X: 0.92 for X; here with the article's picture, values of 1 contribute a fifth."""
    reading = read(ARTICLE, X)
    made = table(given_to_classes(reading, Cell(6, 1), False))
    assert made.heads == ("X", "O")
    for column, strong in enumerate(((0, 3, 4, 9, 10), (1, 2, 8, 11))):
        *given, score = numbers(made, column)
        expected = [float(reading.outputs[5][at]) / len(strong) for at in strong]
        assert sorted(value for value in given if value) == pytest.approx(sorted(expected), abs=0.005)
        assert score == pytest.approx(sum(expected), abs=0.006)
    assert made.rows[0].cell == Cell(4, 0, 0, 0), "a click leads to the value on its map"


def some_network() -> Subject:
    layers = (
        Conv2D(4, 3, stride=2, padding=2), LeakyReLU(0.2), AvgPool2D(3, 2), Flatten(), Dense(15), ReLU(), Dense(3),
    )  # fmt: skip
    network = Network((1, 13, 13), layers, classes=("a", "b", "c"))
    parameters = network.initial(3)
    noise = np.random.default_rng(3)
    for name, array in parameters.items():
        if name.endswith("bias"):
            parameters[name] = array + noise.uniform(-1, 1, array.shape).astype(np.float32)
    return Subject("some", network, parameters)


@pytest.mark.parametrize("channel", range(3))
def test_columns_and_lines_add_up_to_the_scores(channel: int) -> None:
    picture = np.random.default_rng(1).uniform(-1, 1, (13, 13)).astype(np.float32)
    reading = read(some_network(), picture)
    made = table(given_to_classes(reading, Cell(7, channel), False))
    assert reading.subject.network.classes[channel] in made.heads
    for column, name in enumerate(made.heads):
        *given, score = numbers(made, column)
        assert score == pytest.approx(float(reading.outputs[-1]["abc".index(name)]), abs=0.006)
        assert sum(given) == pytest.approx(score, abs=0.005 * len(given) + 0.006)
    explainer = Explainer()
    explainer.follow(Question("worth", layer=7, place=(channel,)), (reading,), True)
    assert explainer.answer is not None
    split = table(split_up(reading, Cell(7, channel), explainer.answer, False))
    assert [row.label for row in split.rows][:-1] == ["Input", "Features", "Leaky ReLU", "Pool", "Hidden", "ReLU"]
    for row in split.rows[:-1]:
        brought, added = (float(text.replace("−", "-")) for text in row.texts)
        assert brought + added == pytest.approx(float(reading.outputs[-1][channel]), abs=0.011)

"""What every value gives to every class: each column adds up to its score, and every layer tells the same score."""

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


def test_of_the_articles_x_every_strong_value_gives_its_fifth_or_fourth() -> None:
    """The slides' list of the X: 0.92 for X, here with the article's own picture: values 1 give a fifth each."""
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


@pytest.mark.parametrize("held", range(3))
def test_columns_and_lines_add_up_to_the_scores(held: int) -> None:
    picture = np.random.default_rng(1).uniform(-1, 1, (13, 13)).astype(np.float32)
    reading = read(some_network(), picture)
    made = table(given_to_classes(reading, Cell(7, held), False))
    assert reading.subject.network.classes[held] in made.heads
    for column, name in enumerate(made.heads):
        *given, score = numbers(made, column)
        assert score == pytest.approx(float(reading.outputs[-1]["abc".index(name)]), abs=0.006)
        assert sum(given) == pytest.approx(score, abs=0.005 * len(given) + 0.006)
    explainer = Explainer()
    explainer.follow(Question("worth", layer=7, place=(held,)), (reading,), True)
    assert explainer.answer is not None
    split = table(split_up(reading, Cell(7, held), explainer.answer, False))
    assert [row.label for row in split.rows][:-1] == ["Input", "Features", "Leaky ReLU", "Pool", "Hidden", "ReLU"]
    for row in split.rows[:-1]:
        brought, added = (float(text.replace("−", "-")) for text in row.texts)
        assert brought + added == pytest.approx(float(reading.outputs[-1][held]), abs=0.011)

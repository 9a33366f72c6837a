"""Contributions to every class: each column adds up to its score, and so does the split at every layer."""

from __future__ import annotations

import numpy as np
import pytest

from engine.explain import ExplanationQuery
from engine.nn import Model, Network
from engine.nn.layers import AvgPool2D, Conv2D, Dense, Flatten, LeakyReLU, ReLU
from tests.engine.query_driver import QueryDriver
from tests.xo_gui.views.network.test_network_view import ARTICLE, X, read
from xo_gui.state import CellRef
from xo_gui.views.inspector.sheet_blocks import NumberTable, SheetBlock
from xo_gui.views.inspector.vote_breakdown import contribution_table, layer_table


def table(blocks: list[SheetBlock]) -> NumberTable:
    return next(block for block in blocks if isinstance(block, NumberTable))


def numbers(made: NumberTable, column: int) -> list[float]:
    return [float(row.texts[column].replace("−", "-")) for row in made.rows if row.texts[column]]


def test_strong_values_of_the_articles_x_contribute_a_fifth_or_a_fourth() -> None:
    """The slides' list of the X: 0.92 for X; here with the article's picture, values of 1 contribute a fifth."""
    prediction = read(ARTICLE, X)
    made = table(contribution_table(prediction, CellRef(6, 1), False))
    assert made.headers == ("X", "O")
    for column, strong in enumerate(((0, 3, 4, 9, 10), (1, 2, 8, 11))):
        *given, score = numbers(made, column)
        expected = [float(prediction.activations[5][at]) / len(strong) for at in strong]
        assert sorted(value for value in given if value) == pytest.approx(sorted(expected), abs=0.005)
        assert score == pytest.approx(sum(expected), abs=0.006)
    assert made.rows[0].cell == CellRef(4, 0, 0, 0), "a click leads to the value on its map"


def some_network() -> Model:
    layers = (
        Conv2D(4, 3, stride=2, padding=2), LeakyReLU(0.2), AvgPool2D(3, 2), Flatten(), Dense(15), ReLU(), Dense(3),
    )  # fmt: skip
    network = Network((1, 13, 13), layers, classes=("a", "b", "c"))
    parameters = network.initial_parameters(3)
    noise = np.random.default_rng(3)
    for name, array in parameters.items():
        if name.endswith("bias"):
            parameters[name] = array + noise.uniform(-1, 1, array.shape).astype(np.float32)
    return Model("some", network, parameters)


@pytest.mark.parametrize("channel", range(3))
def test_columns_and_lines_add_up_to_the_scores(channel: int) -> None:
    picture = np.random.default_rng(1).uniform(-1, 1, (13, 13)).astype(np.float32)
    prediction = read(some_network(), picture)
    made = table(contribution_table(prediction, CellRef(7, channel), False))
    assert prediction.model.network.classes[channel] in made.headers
    for column, name in enumerate(made.headers):
        *given, score = numbers(made, column)
        assert score == pytest.approx(float(prediction.activations[-1]["abc".index(name)]), abs=0.006)
        assert sum(given) == pytest.approx(score, abs=0.005 * len(given) + 0.006)
    explainer = QueryDriver()
    explainer.set_query(ExplanationQuery("worth", layer=7, cell=(channel,)), (prediction,), True)
    assert explainer.result is not None
    split = table(layer_table(prediction, CellRef(7, channel), explainer.result, False))
    assert [row.label for row in split.rows][:-1] == ["Input", "Features", "Leaky ReLU", "Pool", "Hidden", "ReLU"]
    for row in split.rows[:-1]:
        brought, added = (float(text.replace("−", "-")) for text in row.texts)
        assert brought + added == pytest.approx(float(prediction.activations[-1][channel]), abs=0.011)

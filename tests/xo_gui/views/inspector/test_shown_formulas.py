"""Numbers shown in a formula give the result shown, to the digits shown: read from the page and computed again."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from engine.backends import HostArray
from engine.explain import WeightTrace
from engine.nn import Model, Network, Prediction
from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Center,
    Conv2D,
    Dense,
    Flatten,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
    Sigmoid,
    Tanh,
)
from engine.training import SGD, Adam, AdamW, Optimizer, UpdateTerms
from tests.engine.random_networks import random_network
from tests.xo_gui.views.network.test_network_view import read
from xo_gui.app import DARK
from xo_gui.state import CellRef
from xo_gui.views.inspector.sheet_blocks import (
    ClassBars,
    NumberGrid,
    NumberTable,
    RankedList,
    SheetBlock,
    SideBySide,
    TextLine,
    TextLines,
)
from xo_gui.views.inspector.value_text import ValueContext, value_blocks
from xo_gui.views.inspector.vote_breakdown import contribution_table
from xo_gui.views.step.painting import score_texts
from xo_gui.views.step.weight_panel import formula_html, update_html
from xo_gui.widgets import four_digit_text, percent_texts

EVERY_KIND = (
    Center(), Conv2D(3, 3, padding=1), BatchNorm2D(), LeakyReLU(0.1), MaxPool2D(2, 2), Conv2D(4, 2, mean=True),
    Tanh(), Residual((Conv2D(4, 3, padding=1), ReLU())), Sigmoid(), AvgPool2D(2, 2), Flatten(), Dense(12), ReLU(),
    Dense(12),
)  # fmt: skip


def number(text: str) -> float:
    """What a reader sees: "+0.24", "≈ −12.5", ".29", "2.1e−7", "34 %"."""
    plain = text.removeprefix("≈ ").removesuffix(" %").replace("−", "-").replace("\u202f", "")
    return float(plain)


def unit(text: str) -> float:
    """The value of the last digit shown."""
    digits, _, power = text.removeprefix("≈ ").removesuffix(" %").replace("−", "-").partition("e")
    return 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))


class Reader:
    """Compares what is shown with what follows from the other numbers shown."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def follows(self, kind: str, computed: float, shown: str) -> None:
        if shown.startswith("≈"):
            self.counts[f"rounded {kind}"] += 1
            return
        self.counts[kind] += 1
        assert abs(computed - number(shown)) <= 0.5000001 * unit(shown) + 1e-9 * abs(computed), (
            kind,
            computed,
            shown,
        )

    def value(self, blocks: list[SheetBlock]) -> None:
        lines = shown_lines(blocks)
        by_label = {line.label: line.number for line in lines}
        first = blocks[0]
        if isinstance(first, SideBySide) and isinstance(first.left, NumberGrid) and "maximum" in by_label:
            self.follows("maximum", float(cells(first.left).max()), by_label["maximum"])
        elif "normalized" in by_label:
            self.normalized(lines)
        elif lines[0].label == "x, the input value":
            self.elementwise(lines)
        elif len(lines) > 1:
            self.sum(lines)
        grids = [grid for block in blocks if isinstance(block, SideBySide) for grid in grids_of(block)]
        if len(grids) == 3 and not grids[2].title.startswith("≈"):
            factors = (cells(grids[0]) * cells(grids[1]) / 10.0 ** grids[2].exponent).ravel()
            for computed, shown in zip(factors.tolist(), grids[2].texts(False), strict=True):
                self.follows("cell", computed, shown)
        if grids and lines[0].label.startswith("sum of"):
            self.follows("sum of cells", float(cells(grids[-1]).sum()), lines[0].number)
        self.ranked(blocks, lines)

    def sum(self, lines: list[TextLine]) -> None:
        *given, result = lines
        total = 0.0
        for line in given:
            if line.label.startswith("÷"):
                total /= int(re.sub(r"\D", "", line.label))
                self.follows("mean", total, line.number)
                total = number(line.number)
            else:
                total += number(line.number)
        self.follows("sum", total, result.number)

    def normalized(self, lines: list[TextLine]) -> None:
        x, mean, variance, std, normalized, weight, bias = (number(line.number) for line in lines[:-1])
        epsilon = number(re.findall(r"\+ (\S+)\)", lines[3].label)[0])
        self.follows("deviation", math.sqrt(variance + epsilon), lines[3].number)
        self.follows("normalized", (x + mean) / std, lines[4].number)
        self.follows("batch norm", normalized * weight + bias, lines[7].number)

    def elementwise(self, lines: list[TextLine]) -> None:
        x, label, *powers = number(lines[0].number), lines[-1].label, *(number(line.number) for line in lines[1:-1])
        for line in lines[1:-1]:
            self.follows("power", math.exp(x if line.label == "eˣ" else -x), line.number)
        if label.startswith("(eˣ"):
            result = (powers[0] - powers[1]) / (powers[0] + powers[1])
        elif label.startswith("1 ÷"):
            result = 1 / (1 + powers[0])
        elif "times" in label:
            result = x * float(label.split("times ")[1])
        else:
            result = max(x, 0.0)
        self.follows("function", result, lines[-1].number)

    def ranked(self, blocks: list[SheetBlock], lines: list[TextLine]) -> None:
        rows = [row for block in blocks if isinstance(block, RankedList) for row in block.rows if row.number]
        if not rows:
            return
        for row in rows:
            if row.factors:
                left, right = row.factors.split(" × ")
                self.follows("product", number(left) * number(right), row.number)
        total = sum(number(row.number) for row in rows)
        others = [
            line
            for block in blocks
            if isinstance(block, TextLines) and not is_softmax(block)
            for line in block.lines
        ]
        total += sum(number(line.number) for line in others if line.label.endswith("others"))
        if isinstance(blocks[1], RankedList):
            self.follows("list", total, lines[0].number)
            return
        for line in lines:
            if line.label.startswith("÷"):
                self.follows("maps", total / int(re.sub(r"\D", "", line.label)), line.number)
                return
        bias = sum(number(line.number) for line in lines if line.label == "bias")
        self.follows("maps", total + bias, lines[-1].number)

    def softmax(self, blocks: list[SheetBlock]) -> None:
        lines = blocks[-2]
        assert isinstance(lines, TextLines)
        *powers, total = lines.lines
        for line in powers:
            if "e to the" in line.label:
                score, top = line.label.split("(")[1].rstrip(")").split(" − ")
                self.follows("exponential", math.exp(number(score) - number(top)), line.number)
        self.follows("sum of powers", sum(number(line.number) for line in powers), total.number)
        bars = blocks[-1]
        assert isinstance(bars, ClassBars)
        for line, bar in zip(powers, bars.bars, strict=False):
            if not bar.number.startswith(("<", ">")):
                self.follows("vote", 100 * number(line.number) / number(total.number), bar.number)

    def table(self, table: NumberTable) -> None:
        *rows, total = table.rows
        for at, shown in enumerate(total.texts):
            self.follows("table", sum(number(row.texts[at]) for row in rows), shown)


def shown_lines(blocks: list[SheetBlock]) -> list[TextLine]:
    """The lines of the value's own formula, without those of the softmax."""
    lines: list[TextLine] = []
    for block in blocks:
        if isinstance(block, TextLines) and not is_softmax(block):
            lines += block.lines
        elif isinstance(block, SideBySide) and isinstance(block.right, tuple):
            lines += block.right
    return [line for line in lines if not line.label.endswith("others")]


def is_softmax(block: TextLines) -> bool:
    return any("e to the" in line.label for line in block.lines)


def grids_of(block: SideBySide) -> list[NumberGrid]:
    return [part for part in (block.left, block.right) if isinstance(part, NumberGrid)]


def cells(grid: NumberGrid) -> HostArray:
    shown: HostArray = np.array([number(text) for text in grid.texts(False)]).reshape(grid.values.shape)
    return shown * 10.0**grid.exponent


def random_drawings_networks(count: int) -> list[Network]:
    """Random networks that read one square map."""
    made = (random_network(np.random.default_rng(seed)) for seed in itertools.count())
    square = (each for each in made if each.input_shape[0] == 1 and each.input_shape[1] == each.input_shape[2] > 3)
    return list(itertools.islice(square, count))


def random_model(network: Network, seed: int) -> Model:
    """A model with parameters far from round numbers, biases and running statistics too."""
    rng, parameters = np.random.default_rng(seed), network.initial_parameters(seed)
    scale = float(rng.choice([0.01, 0.3, 1.0]))
    for name, array in parameters.items():
        noise = (
            rng.uniform(0.05, 1, array.shape) if name.endswith("variance") else rng.normal(0, scale, array.shape)
        )
        parameters[name] = (array + noise).astype(np.float32)
    return Model("random", network, parameters)


def read_all(reader: Reader, prediction: Prediction, rng: np.random.Generator, per_layer: int) -> None:
    network = prediction.model.network
    for layer in range(1, len(network.layers) + 1):
        for _ in range(per_layer):
            place = [int(rng.integers(side)) for side in network.shapes[layer]]
            context = ValueContext(prediction, CellRef(layer, *place))
            blocks = value_blocks(context)
            reader.value(blocks)
    if network.vote == "softmax":
        reader.softmax(blocks)
    for block in contribution_table(prediction, CellRef(len(network.layers), 0), False):
        if isinstance(block, NumberTable):
            reader.table(block)


def test_all_formulas_of_random_networks_give_their_results_as_shown() -> None:
    reader, rng = Reader(), np.random.default_rng(7)
    for seed, network in enumerate(random_drawings_networks(30)):
        picture = rng.uniform(-1, 1, network.input_shape[1:]).astype(np.float32)
        model = random_model(network, seed)
        read_all(reader, read(model, picture), rng, 4)
    check(reader)


def test_formulas_of_every_kind_give_their_results_as_shown() -> None:
    reader, rng = Reader(), np.random.default_rng(8)
    network = Network((1, 12, 12), EVERY_KIND, classes=tuple("abcdefghijkl"))
    for seed in range(4):
        read_all(reader, read(random_model(network, seed), rng.uniform(-1, 1, (12, 12)).astype(np.float32)), rng, 6)
    assert {
        "batch norm",
        "maps",
        "list",
        "product",
        "mean",
        "function",
        "power",
        "exponential",
        "vote",
        "table",
    } <= set(reader.counts)
    check(reader)


def check(reader: Reader) -> None:
    """Only numbers in cells, which have no room for more digits, and votes that must add up may be marked."""
    marked = {kind: count for kind, count in reader.counts.items() if kind.startswith("rounded")}
    free = {kind: count for kind, count in marked.items() if not kind.endswith(("cells", "vote", "maximum"))}
    assert sum(free.values()) <= 0.02 * sum(reader.counts.values()), reader.counts


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.0), SGD(nesterov=True), SGD(), Adam(), AdamW()], ids=repr)
def test_the_update_of_a_weight_gives_its_results_as_shown(optimizer: Optimizer) -> None:
    reader, rng = Reader(), np.random.default_rng(9)
    for _ in range(40):
        before, gradient = rng.normal(0, 0.3), rng.normal(0, 10.0 ** rng.integers(-6, 1))
        states = [{name: float(abs(rng.normal(0, 0.1))) for name in optimizer.state_names} for _ in range(2)]
        terms = UpdateTerms(before, before, gradient, optimizer.rate, True, states[0], states[1], 3)
        # Twice: an optimizer's new state and value follow from its own formulas.
        for _ in range(2):
            lines = optimizer.formula_lines(terms)
            results = {line.name: line.compute(*line.numbers) for line in lines}
            states[1].update((name, results[name]) for name in states[1] if name in results)
            terms = replace(terms, after=results["new value"], state_after=states[1])
        for line in optimizer.formula_lines(terms):
            page = re.sub("<[^>]*>", "|", formula_html(line, DARK))
            shown, plugged = re.findall("<b>([^<]+)</b>", formula_html(line, DARK))[0], page.partition("= ")[2]
            numbers = [number(text) for text in re.findall(r"−?\d[\d.]*(?:e−?\d+)?", plugged)]
            reader.follows("update", line.compute(*numbers), shown)
        whole = update_html(
            WeightTrace(("w", ()), before, terms.after, gradient, False, None, None, (), None), DARK
        )
        now, change = re.findall("<b>([^<]+)</b>", whole)[:2]
        reader.follows("change", number(now) + number(change), four_digit_text(terms.after))
    check(reader)


@pytest.mark.parametrize("classes", [2, 7])
def test_the_gradient_of_a_score_is_its_vote_less_its_target_as_shown(classes: int) -> None:
    reader, rng = Reader(), np.random.default_rng(3)
    for _ in range(200):
        votes = np.exp(rng.normal(0, 2, classes))
        votes /= votes.sum()
        target = float(rng.choice([0.0, 1.0, 1 / classes, 0.95]))
        for vote, text in zip(votes.tolist(), percent_texts(votes.tolist()), strict=True):
            shown_target, gradient = score_texts(text, target, vote - target)
            if not text.startswith(("<", ">")):
                reader.follows("vote", (number(text) - number(shown_target)) / 100, gradient)
    assert reader.counts["vote"] > 5 * reader.counts["rounded vote"]

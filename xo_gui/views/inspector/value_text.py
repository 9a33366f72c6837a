"""Arithmetic of one value as the article writes it, in blocks and words: multiply, add up, divide, add the bias."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PySide6.QtCore import QCoreApplication

from engine.backends.ops import HostArray
from engine.explain.value_arithmetic import arithmetic, place_in, softmax_of
from engine.nn.inference import Reading
from engine.nn.layers.value_formulas import (
    OUTSIDE,
    Arithmetic,
    Bent,
    Largest,
    Normalized,
    Passed,
    Shifted,
    Skipped,
    WeightedSum,
)
from xo_gui.state.selection import Cell
from xo_gui.state.visible_values import MOST_ONWARD
from xo_gui.views.inspector.sheet_blocks import (
    Block,
    ClassBar,
    ClassBars,
    Grid,
    Heading,
    Line,
    Lines,
    Note,
    Pair,
    Rank,
    Ranked,
)
from xo_gui.views.network.colour_limits import calm
from xo_gui.views.network.layer_labels import layer_names
from xo_gui.views.network.trace import in_maps
from xo_gui.widgets.number_text import MINUS, cell_text, figures, fixed, number, percent

# Rows of a list before the rest is summed up in one row: at first, and after "show more".
MOST_RANKS, MOST_WANTED = 10, 160
# The part index of "show more".
MORE = -1
TIMES, DIVIDED = "×", "÷"


@dataclass(frozen=True, eq=False)
class Spelled:
    """One value, the prediction it belongs to, and how it is shown.

    selected_map: the map shown of a window over several; None for the one with the largest contribution.
    truncate: truncate numbers instead of rounding them.
    max_rows: the most rows of a list.
    """

    reading: Reading
    cell: Cell
    chosen: int | None = None
    cut: bool = False
    most: int = MOST_RANKS

    @property
    def value(self) -> float:
        channel, *rest = place_in(self.reading.subject.network, self.cell.layer, *self._place)
        output = self.reading.outputs.maps(self.cell.layer, range(channel, channel + 1))
        return float(output[(0, *rest)])

    @property
    def arithmetic(self) -> Arithmetic | None:
        """None for a pixel of the input."""
        sides = len(self.reading.outputs.shapes[self.cell.layer])
        return arithmetic(self.reading, self.cell.layer, self._place[:sides])

    @property
    def _place(self) -> tuple[int, int, int]:
        return self.cell.channel, self.cell.row, self.cell.column

    def number(self, value: float) -> str:
        return fixed(value, self.cut)

    def below(self, cells: HostArray) -> tuple[Cell | None, ...]:
        """The cells of the layer below at flat indices; None in the padding."""
        shape, layer = self.reading.outputs.shapes[self.cell.layer - 1], self.cell.layer - 1
        below: list[Cell | None] = []
        for place in cells.ravel().tolist():
            channel, row, column = (*(int(part) for part in np.unravel_index(max(place, 0), shape)), 0, 0)[:3]
            below.append(None if place == OUTSIDE else Cell(layer, channel, row, column, self.cell.subject))
        return tuple(below)

    def grid(self, title: str, values: HostArray, cells: HostArray, ring: frozenset[int] = frozenset()) -> Grid:
        """The grid of a window on the layer below."""
        is_input = self.cell.layer == 1
        level = 1.0 if is_input else calm(float(np.abs(values).max()))
        outside = cells == OUTSIDE
        return Grid(
            title, values, "picture" if is_input else "value", level, outside if outside.any() else None, ring,
            self.below(cells),
        )  # fmt: skip


def spell(context: Spelled) -> list[Block]:
    """The blocks with the arithmetic of a value."""
    with np.errstate(over="ignore", invalid="ignore"):  # diverged weights give infinite or NaN values
        return _value_blocks(context)


def _value_blocks(context: Spelled) -> list[Block]:
    formula = context.arithmetic
    if formula is None:
        return [
            Note(_tr("A pixel of the drawing, as the network sees it: −1 is background, 1 is the pen's stroke."))
        ]
    blocks = _FORMS[type(formula)](context, formula)
    if context.cell.layer == len(context.reading.subject.network.layers):
        blocks += _softmax_blocks(context)
    return blocks


# --- weighted sums


def _weighted_sum(context: Spelled, formula: WeightedSum) -> list[Block]:
    if formula.cells.ndim == 3:
        return _window(context, formula)
    if formula.cells.ndim == 2:
        return _mean(context, formula)
    return _list(context, formula)


def _window(context: Spelled, formula: WeightedSum) -> list[Block]:
    """The window on one map times the kernel, and the contribution of the other maps."""
    parts = formula.products.reshape(len(formula.cells), -1).sum(axis=1)
    several = len(parts) > 1
    one = int(np.abs(parts).argmax()) if context.chosen is None or context.chosen >= len(parts) else context.chosen
    named = _tr(" on map {0}").format(one + 1) if several else ""
    weights, products = formula.weights[one], formula.products[one]
    feature = Grid(
        _tr("feature {0}").format(context.cell.channel + 1) + named,
        weights,
        "value",
        calm(float(np.abs(formula.weights).max())),
    )
    lines = [Line(_tr("sum of {0}").format(number(products.size)), context.number(float(parts[one])))]
    if several:
        others = _tr("{0} other maps").format(number(len(parts) - 1)) if len(parts) > 2 else _tr("other map")
        lines.append(Line(others, context.number(formula.total - float(parts[one]))))
    blocks: list[Block] = [
        Pair(context.grid(_tr("window") + named, formula.values[one], formula.cells[one]), TIMES, feature),
        Pair(
            Grid(_tr("products"), products, "value", calm(float(np.abs(formula.products).max()))),
            "",
            (*lines, *_final_lines(context, formula)),
        ),
    ]
    return blocks + (_map_contributions(context, parts, one) if several else [])


def _final_lines(context: Spelled, formula: WeightedSum) -> list[Line]:
    """The lines that divide by the number of values and add the bias."""
    lines = []
    if formula.divisor > 1:
        label = _tr("{0} {1} pixels") if context.cell.layer == 1 else _tr("{0} {1} values")
        average = label.format(DIVIDED, number(formula.divisor))
        lines.append(Line(average, context.number(formula.total / formula.divisor)))
    # The article has no bias: a mean whose bias is 0 is shown without it.
    if formula.bias is not None and (formula.bias or formula.divisor == 1):
        lines.append(Line(_tr("bias"), context.number(formula.bias)))
    return [*lines, Line(_tr("this value"), context.number(context.value), True)]


def _map_contributions(context: Spelled, parts: HostArray, one: int) -> list[Block]:
    """The contribution of each map below, the largest first; a click shows that map."""
    order = np.argsort(-np.abs(parts), kind="stable")[: context.most].tolist()
    most = float(np.abs(parts).max()) or 1.0
    ranks = tuple(
        Rank(_tr("map {0}").format(at + 1), "", context.number(float(parts[at])), float(parts[at]) / most,
             choice=at, chosen=at == one)
        for at in order
    )  # fmt: skip
    return [
        Heading(_tr("contribution of each map below (click to see it)")),
        Ranked(ranks),
        *_remaining(context, parts, order),
    ]


def _remaining(context: Spelled, parts: HostArray, shown: list[int]) -> list[Block]:
    """One row for all that are not listed; a click lists more of those that are not 0."""
    rest = parts.size - len(shown)
    if not rest:
        return []
    missing, label = float(parts.sum() - parts[shown].sum()), _tr("{0} others").format(number(rest))
    if context.most >= MOST_WANTED or np.count_nonzero(parts) <= len(shown):
        return [Lines((Line(label, context.number(missing)),))]
    return [Ranked((Rank(_tr("{0}: show more").format(label), "", context.number(missing), 0.0, choice=MORE),))]


def _mean(context: Spelled, formula: WeightedSum) -> list[Block]:
    rows, columns = formula.cells.shape
    lines = (
        Line(_tr("sum of {0}").format(number(formula.cells.size)), context.number(formula.total)),
        *_final_lines(context, formula),
    )
    if max(rows, columns) > 16:
        return [Note(_tr("The mean of the whole map, {0} × {1}.").format(rows, columns)), Lines(lines)]
    return [Pair(context.grid(_tr("window"), formula.values, formula.cells), "", lines)]


def _list(context: Spelled, formula: WeightedSum) -> list[Block]:
    """The products of a list, the largest first."""
    products = formula.products
    largest = np.argsort(-np.abs(products), kind="stable")[: context.most]
    order = largest[products[largest] != 0].tolist()
    most = float(np.abs(products).max()) or 1.0
    is_unweighted = bool((formula.weights == 1).all())
    ranks = []
    for at in order:
        value, weight = (_factor(float(each[at]), context.cut) for each in (formula.values, formula.weights))
        factors = "" if is_unweighted else f"{value} {TIMES} {weight}"
        (cell,) = context.below(formula.cells[at : at + 1])
        assert cell is not None
        inner = in_maps(context.reading.subject.network, cell)
        product, share = context.number(float(products[at])), float(products[at]) / most
        ranks.append(Rank(listed(inner, cell), factors, product, share, inner))
    title = (
        _tr("its strong values, the largest first") if is_unweighted else _tr("value × weight, the largest first")
    )
    lines = (
        Line(_tr("sum of {0}").format(number(products.size)), context.number(formula.total)),
        *_final_lines(context, formula),
    )
    return [Heading(title), Ranked(tuple(ranks)), *_remaining(context, products, order), Lines(lines)]


def listed(inner: Cell, cell: Cell) -> str:
    """The name of the input value `cell`. inner: its cell before flattening, on a map, or `cell` itself."""
    if inner == cell:
        return _tr("value {0}").format(number(cell.channel + 1))
    return _tr("map {0}: {1}, {2}").format(inner.channel + 1, inner.row + 1, inner.column + 1)


def _factor(value: float, truncate: bool) -> str:
    """As in a cell of a grid, but a factor that is not 0 is never shown as 0."""
    if truncate or not 0 < abs(value) < 0.005:
        return cell_text(value, truncate)
    return fixed(value).lstrip("+").replace("0.", ".", 1)


# --- all other forms


def _largest(context: Spelled, formula: Largest) -> list[Block]:
    lines = (Line(_tr("maximum"), context.number(formula.result), True),)
    grid = context.grid(_tr("window"), formula.values, formula.cells, frozenset({formula.winner}))
    blocks: list[Block] = [Pair(grid, "→", lines)]
    if formula.tied > 1:
        tie = _tr("{0} of the {1} values are equally large; the first in reading order counts as the maximum.")
        blocks.append(Note(tie.format(formula.tied, formula.values.size)))
    elif formula.values.size > 1:
        row, column = divmod(formula.winner, formula.values.shape[1])
        blocks.append(Note(_tr("The maximum is in row {0}, column {1} of the window.").format(row + 1, column + 1)))
    return blocks


def _elementwise(context: Spelled, formula: Bent) -> list[Block]:
    x, y = context.number(formula.value), context.number(context.value)
    label = {
        "relu": _tr("above 0: stays as it is") if formula.value > 0 else _tr("0 or below: becomes 0"),
        "leaky_relu": (
            _tr("above 0: stays as it is")
            if formula.value > 0
            else _tr("0 or below: times {0:g}").format(formula.leak)
        ),
        "tanh": _tr("(eˣ − e⁻ˣ) ÷ (eˣ + e⁻ˣ)"),
        "sigmoid": _tr("1 ÷ (1 + e⁻ˣ)"),
    }[formula.function]
    lines = [Line(_tr("x, the input value"), x)]
    if formula.function == "tanh":
        lines.append(Line(_tr("eˣ"), figures(float(np.exp(formula.value)))))
    if formula.function in ("tanh", "sigmoid"):
        lines.append(Line(_tr("e⁻ˣ"), figures(float(np.exp(-formula.value)))))
    return [Lines((*lines, Line(label, y, True))), *_input_link(context, formula)]


def _input_link(context: Spelled, formula: Arithmetic) -> list[Block]:
    """A link to the single input value."""
    cell = context.below(formula.cells)[0]
    return [Ranked((Rank(_tr("← go to x"), "", "", 0.0, cell),))] if cell is not None else []


def _normalized(context: Spelled, formula: Normalized) -> list[Block]:
    return [
        Lines(
            (
                Line(_tr("x, the input value"), context.number(formula.value)),
                Line(_tr("minus the map's mean"), context.number(-formula.mean)),
                Line(_tr("the map's variance"), figures(formula.variance)),
                Line(
                    _tr("÷ std. deviation √(variance + {0})").format(figures(formula.epsilon)),
                    figures(formula.spread),
                ),
                Line(_tr("normalized"), context.number(formula.normal), True),
                Line(_tr("× weight"), context.number(formula.weight)),
                Line(_tr("bias"), context.number(formula.bias)),
                Line(_tr("this value"), context.number(context.value), True),
            )
        ),
        *_input_link(context, formula),
    ]


def _shifted(context: Spelled, formula: Shifted) -> list[Block]:
    mean = Line(_tr("minus the mean of all examples"), context.number(-formula.mean))
    lines = (
        Line(_tr("the pixel"), context.number(formula.value)),
        mean,
        Line(_tr("this value"), context.number(context.value), True),
    )
    return [Lines(lines), *_input_link(context, formula)]


def _unchanged(context: Spelled, formula: Passed) -> list[Block]:
    text = _tr("Flatten: the same value, in one list of the values of all maps.")
    if formula.rate is not None:
        text = _tr(
            "Dropout switches off {0} of the values during training; a prediction uses all values unchanged."
        ).format(percent(formula.rate))
    return [
        Note(text),
        Lines((Line(_tr("this value"), context.number(context.value), True),)),
        *_input_link(context, formula),
    ]


def _skip_sum(context: Spelled, formula: Skipped) -> list[Block]:
    lines = (
        Line(_tr("input (skip connection)"), context.number(formula.value)),
        Line(_tr("output of its layers"), context.number(formula.stack)),
        Line(_tr("this value"), context.number(context.value), True),
    )
    return [Lines(lines), *_input_link(context, formula)]


def _softmax_blocks(context: Spelled) -> list[Block]:
    """The softmax that turns the scores into votes."""
    softmax, network = softmax_of(context.reading), context.reading.subject.network
    if softmax is None:
        return []
    top = float(softmax.scores.max())
    less = f"{MINUS} {context.number(top).lstrip(chr(43))}"
    lines = [
        Line(
            _tr("{0}: e to the ({1} {2})").format(name, context.number(score), less),
            figures(power),
        )
        for name, score, power in zip(
            network.classes, softmax.scores.tolist(), softmax.powers.tolist(), strict=True
        )
    ][:MOST_RANKS]
    lines.append(Line(_tr("their sum, by which each is divided"), figures(float(softmax.powers.sum())), True))
    bars = tuple(
        ClassBar(at, name, percent(float(share)), float(share))
        for at, (name, share) in enumerate(zip(network.classes, softmax.shares, strict=True))
    )[:MOST_RANKS]
    return [Heading(_tr("from scores to votes (softmax)")), Lines(tuple(lines)), ClassBars(bars)]


# --- where the value is used


def goes_on(prediction: Reading, cell: Cell, truncate: bool = False) -> str:
    """Where a value is used: "This value goes through ReLU as +0.24, is the pool's maximum, …"; "" for a score."""
    network, parts = prediction.subject.network, []
    names = layer_names(network)
    while cell.layer < len(network.layers):
        layer, shape = network.layers[cell.layer], network.shapes[cell.layer]
        if math.prod(shape) > MOST_ONWARD:
            break
        if not prediction.outputs.holds(cell.layer):
            return ""  # not computed yet
        place = place_in(network, cell.layer, cell.channel, cell.row, cell.column)
        mask = np.zeros(shape, bool)
        mask[place] = True
        users = np.argwhere(layer.reached_from(shape, mask))
        if not len(users):
            parts.append(_tr("is used by no other value"))
            break
        first = tuple(int(part) for part in users[len(users) // 2])
        if layer.mixes_maps or len(users) > 1:
            parts.append(_tr("is used by {0} of {1}").format(_count_text(len(users)), names[cell.layer + 1]))
            break
        if not prediction.outputs.holds(cell.layer + 1):
            return ""
        formula = arithmetic(prediction, cell.layer + 1, first)
        value = fixed(float(prediction.outputs[cell.layer + 1][first]), truncate)
        if isinstance(formula, Largest):
            is_maximum = int(np.ravel_multi_index(place, shape)) == int(formula.cells.flat[formula.winner])
            is_tied = float(prediction.outputs[cell.layer][place]) == formula.result
            if not is_maximum:
                tie, loss = (
                    _tr("is as large as the pool's maximum, which comes first"),
                    _tr("is not the pool's maximum, {0}").format(value),
                )
                parts.append(tie if is_tied else loss)
                break
            parts.append(_tr("is the pool's maximum"))
        elif not layer.relays:
            parts.append(_tr("goes through {0} as {1}").format(names[cell.layer + 1], value))
        cell = replace(cell, layer=cell.layer + 1, **_cell_fields(first))
    return _tr("This value {0}.").format(", ".join(parts)) if parts else ""


def _cell_fields(place: tuple[int, ...]) -> dict[str, int]:
    channel, row, column = (*place, 0, 0)[:3]
    return {"channel": channel, "row": row, "column": column}


def _count_text(users: int) -> str:
    return _tr("one value") if users == 1 else _tr("{0} values").format(number(users))


def _tr(text: str) -> str:
    return QCoreApplication.translate("Inspector", text)


# The function that writes each form of arithmetic.
_FORMS: dict[type[Arithmetic], Callable[..., list[Block]]] = {
    WeightedSum: _weighted_sum,
    Largest: _largest,
    Bent: _elementwise,
    Normalized: _normalized,
    Shifted: _shifted,
    Passed: _unchanged,
    Skipped: _skip_sum,
}

"""Arithmetic of one value as the article writes it, in blocks and words: multiply, add up, divide, add the bias."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PySide6.QtCore import QCoreApplication

from engine.backends import HostArray
from engine.explain import cell_index, softmax_terms, value_formula
from engine.nn import Prediction
from engine.nn.layers import (
    OUTSIDE,
    Centered,
    ElementwiseFunction,
    Identity,
    Maximum,
    Normalized,
    SkipSum,
    ValueFormula,
    WeightedSum,
)
from xo_gui.state import MAX_TRACED_VALUES, CellRef
from xo_gui.views.inspector.sheet_blocks import (
    ClassBar,
    ClassBars,
    Heading,
    NumberGrid,
    Paragraph,
    RankedList,
    RankedRow,
    SheetBlock,
    SideBySide,
    TextLine,
    TextLines,
)
from xo_gui.views.network import layer_names, rounded_limit, unflattened
from xo_gui.widgets import MINUS, cell_text, fixed_text, four_digit_text, integer_text, percent_text, percent_texts

# Rows of a list before the rest is summed up in one row: at first, and after "show more".
MAX_ROWS, MAX_ROWS_EXPANDED = 10, 160
# The part index of "show more".
SHOW_MORE = -1
TIMES, DIVIDED = "×", "÷"


@dataclass(frozen=True, eq=False)
class ValueContext:
    """One value, the prediction it belongs to, and how it is shown.

    selected_map: the map shown of a window over several; None for the one with the largest contribution.
    truncate: truncate numbers instead of rounding them.
    max_rows: the most rows of a list.
    """

    prediction: Prediction
    cell: CellRef
    selected_map: int | None = None
    truncate: bool = False
    max_rows: int = MAX_ROWS

    @property
    def value(self) -> float:
        channel, *rest = cell_index(self.prediction.model.network, self.cell.layer, *self._place)
        output = self.prediction.activations.channels(self.cell.layer, range(channel, channel + 1))
        return float(output[(0, *rest)])

    @property
    def formula(self) -> ValueFormula | None:
        """None for a pixel of the input."""
        sides = len(self.prediction.activations.shapes[self.cell.layer])
        return value_formula(self.prediction, self.cell.layer, self._place[:sides])

    @property
    def _place(self) -> tuple[int, int, int]:
        return self.cell.channel, self.cell.row, self.cell.column

    def format_number(self, value: float) -> str:
        return fixed_text(value, self.truncate)

    def input_cells(self, cells: HostArray) -> tuple[CellRef | None, ...]:
        """The cells of the layer below at flat indices; None in the padding."""
        shape, layer = self.prediction.activations.shapes[self.cell.layer - 1], self.cell.layer - 1
        below: list[CellRef | None] = []
        for place in cells.ravel().tolist():
            channel, row, column = (*(int(part) for part in np.unravel_index(max(place, 0), shape)), 0, 0)[:3]
            below.append(None if place == OUTSIDE else CellRef(layer, channel, row, column, self.cell.model_index))
        return tuple(below)

    def input_grid(
        self, title: str, values: HostArray, cells: HostArray, ring: frozenset[int] = frozenset()
    ) -> NumberGrid:
        """The grid of a window on the layer below."""
        is_input = self.cell.layer == 1
        level = 1.0 if is_input else rounded_limit(float(np.abs(values).max()))
        outside = cells == OUTSIDE
        return NumberGrid(
            title, values, "picture" if is_input else "value", level, outside if outside.any() else None, ring,
            self.input_cells(cells),
        )  # fmt: skip


def value_blocks(context: ValueContext) -> list[SheetBlock]:
    """The blocks with the arithmetic of a value."""
    with np.errstate(over="ignore", invalid="ignore"):  # diverged weights give infinite or NaN values
        return _value_blocks(context)


def _value_blocks(context: ValueContext) -> list[SheetBlock]:
    formula = context.formula
    if formula is None:
        return [
            Paragraph(
                _tr("A pixel of the drawing, as the network sees it: −1 is background, 1 is the pen's stroke.")
            )
        ]
    blocks = _FORMS[type(formula)](context, formula)
    if context.cell.layer == len(context.prediction.model.network.layers):
        blocks += _softmax_blocks(context)
    return blocks


# --- weighted sums


def _weighted_sum(context: ValueContext, formula: WeightedSum) -> list[SheetBlock]:
    if formula.cells.ndim == 3:
        return _window(context, formula)
    if formula.cells.ndim == 2:
        return _mean(context, formula)
    return _list(context, formula)


def _window(context: ValueContext, formula: WeightedSum) -> list[SheetBlock]:
    """The window on one map times the kernel, and the contribution of the other maps."""
    parts = formula.products.reshape(len(formula.cells), -1).sum(axis=1)
    several = len(parts) > 1
    one = (
        int(np.abs(parts).argmax())
        if context.selected_map is None or context.selected_map >= len(parts)
        else context.selected_map
    )
    named = _tr(" on map {0}").format(one + 1) if several else ""
    weights, products = formula.weights[one], formula.products[one]
    feature = NumberGrid(
        _tr("feature {0}").format(context.cell.channel + 1) + named,
        weights,
        "value",
        rounded_limit(float(np.abs(formula.weights).max())),
    )
    lines = [
        TextLine(_tr("sum of {0}").format(integer_text(products.size)), context.format_number(float(parts[one])))
    ]
    if several:
        others = _tr("{0} other maps").format(integer_text(len(parts) - 1)) if len(parts) > 2 else _tr("other map")
        lines.append(TextLine(others, context.format_number(formula.total - float(parts[one]))))
    blocks: list[SheetBlock] = [
        SideBySide(
            context.input_grid(_tr("window") + named, formula.values[one], formula.cells[one]), TIMES, feature
        ),
        SideBySide(
            NumberGrid(_tr("products"), products, "value", rounded_limit(float(np.abs(formula.products).max()))),
            "",
            (*lines, *_final_lines(context, formula)),
        ),
    ]
    return blocks + (_map_contributions(context, parts, one) if several else [])


def _final_lines(context: ValueContext, formula: WeightedSum) -> list[TextLine]:
    """The lines that divide by the number of values and add the bias."""
    lines = []
    if formula.normalizer > 1:
        label = _tr("{0} {1} pixels") if context.cell.layer == 1 else _tr("{0} {1} values")
        average = label.format(DIVIDED, integer_text(formula.normalizer))
        lines.append(TextLine(average, context.format_number(formula.total / formula.normalizer)))
    # The article has no bias: a mean whose bias is 0 is shown without it.
    if formula.bias is not None and (formula.bias or formula.normalizer == 1):
        lines.append(TextLine(_tr("bias"), context.format_number(formula.bias)))
    return [*lines, TextLine(_tr("this value"), context.format_number(context.value), True)]


def _map_contributions(context: ValueContext, parts: HostArray, one: int) -> list[SheetBlock]:
    """The contribution of each map below, the largest first; a click shows that map."""
    order = np.argsort(-np.abs(parts), kind="stable")[: context.max_rows].tolist()
    most = float(np.abs(parts).max()) or 1.0
    ranks = tuple(
        RankedRow(_tr("map {0}").format(at + 1), "", context.format_number(float(parts[at])),
             float(parts[at]) / most, part_index=at, is_selected=at == one)
        for at in order
    )  # fmt: skip
    return [
        Heading(_tr("contribution of each map below (click to see it)")),
        RankedList(ranks),
        *_remaining(context, parts, order),
    ]


def _remaining(context: ValueContext, parts: HostArray, shown: list[int]) -> list[SheetBlock]:
    """One row for all that are not listed; a click lists more of those that are not 0."""
    rest = parts.size - len(shown)
    if not rest:
        return []
    missing, label = float(parts.sum() - parts[shown].sum()), _tr("{0} others").format(integer_text(rest))
    if context.max_rows >= MAX_ROWS_EXPANDED or np.count_nonzero(parts) <= len(shown):
        return [TextLines((TextLine(label, context.format_number(missing)),))]
    return [
        RankedList(
            (
                RankedRow(
                    _tr("{0}: show more").format(label),
                    "",
                    context.format_number(missing),
                    0.0,
                    part_index=SHOW_MORE,
                ),
            )
        )
    ]


def _mean(context: ValueContext, formula: WeightedSum) -> list[SheetBlock]:
    rows, columns = formula.cells.shape
    lines = (
        TextLine(_tr("sum of {0}").format(integer_text(formula.cells.size)), context.format_number(formula.total)),
        *_final_lines(context, formula),
    )
    if max(rows, columns) > 16:
        return [Paragraph(_tr("The mean of the whole map, {0} × {1}.").format(rows, columns)), TextLines(lines)]
    return [SideBySide(context.input_grid(_tr("window"), formula.values, formula.cells), "", lines)]


def _list(context: ValueContext, formula: WeightedSum) -> list[SheetBlock]:
    """The products of a list, the largest first."""
    products = formula.products
    largest = np.argsort(-np.abs(products), kind="stable")[: context.max_rows]
    order = largest[products[largest] != 0].tolist()
    most = float(np.abs(products).max()) or 1.0
    is_unweighted = bool((formula.weights == 1).all())
    ranks = []
    for at in order:
        value, weight = (_factor(float(each[at]), context.truncate) for each in (formula.values, formula.weights))
        factors = "" if is_unweighted else f"{value} {TIMES} {weight}"
        (cell,) = context.input_cells(formula.cells[at : at + 1])
        assert cell is not None
        inner = unflattened(context.prediction.model.network, cell)
        product, share = context.format_number(float(products[at])), float(products[at]) / most
        ranks.append(RankedRow(input_name(inner, cell), factors, product, share, inner))
    title = (
        _tr("its strong values, the largest first") if is_unweighted else _tr("value × weight, the largest first")
    )
    lines = (
        TextLine(_tr("sum of {0}").format(integer_text(products.size)), context.format_number(formula.total)),
        *_final_lines(context, formula),
    )
    return [Heading(title), RankedList(tuple(ranks)), *_remaining(context, products, order), TextLines(lines)]


def input_name(inner: CellRef, cell: CellRef) -> str:
    """The name of the input value `cell`. inner: its cell before flattening, on a map, or `cell` itself."""
    if inner == cell:
        return _tr("value {0}").format(integer_text(cell.channel + 1))
    return _tr("map {0}: {1}, {2}").format(inner.channel + 1, inner.row + 1, inner.column + 1)


def _factor(value: float, truncate: bool) -> str:
    """As in a cell of a grid, but a factor that is not 0 is never shown as 0."""
    if truncate or not 0 < abs(value) < 0.005:
        return cell_text(value, truncate)
    return fixed_text(value).lstrip("+").replace("0.", ".", 1)


# --- all other forms


def _largest(context: ValueContext, formula: Maximum) -> list[SheetBlock]:
    lines = (TextLine(_tr("maximum"), context.format_number(formula.result), True),)
    grid = context.input_grid(_tr("window"), formula.values, formula.cells, frozenset({formula.argmax}))
    blocks: list[SheetBlock] = [SideBySide(grid, "→", lines)]
    if formula.tie_count > 1:
        tie = _tr("{0} of the {1} values are equally large; the first in reading order counts as the maximum.")
        blocks.append(Paragraph(tie.format(formula.tie_count, formula.values.size)))
    elif formula.values.size > 1:
        row, column = divmod(formula.argmax, formula.values.shape[1])
        blocks.append(
            Paragraph(_tr("The maximum is in row {0}, column {1} of the window.").format(row + 1, column + 1))
        )
    return blocks


def _elementwise(context: ValueContext, formula: ElementwiseFunction) -> list[SheetBlock]:
    x, y = context.format_number(formula.value), context.format_number(context.value)
    label = {
        "relu": _tr("above 0: stays as it is") if formula.value > 0 else _tr("0 or below: becomes 0"),
        "leaky_relu": (
            _tr("above 0: stays as it is")
            if formula.value > 0
            else _tr("0 or below: times {0:g}").format(formula.function.slope)
        ),
        "tanh": _tr("(eˣ − e⁻ˣ) ÷ (eˣ + e⁻ˣ)"),
        "sigmoid": _tr("1 ÷ (1 + e⁻ˣ)"),
    }[formula.function.name]
    lines = [TextLine(_tr("x, the input value"), x)]
    if formula.function.name == "tanh":
        lines.append(TextLine(_tr("eˣ"), four_digit_text(float(np.exp(formula.value)))))
    if formula.function.name in ("tanh", "sigmoid"):
        lines.append(TextLine(_tr("e⁻ˣ"), four_digit_text(float(np.exp(-formula.value)))))
    return [TextLines((*lines, TextLine(label, y, True))), *_input_link(context, formula)]


def _input_link(context: ValueContext, formula: ValueFormula) -> list[SheetBlock]:
    """A link to the single input value."""
    cell = context.input_cells(formula.cells)[0]
    return [RankedList((RankedRow(_tr("← go to x"), "", "", 0.0, cell),))] if cell is not None else []


def _normalized(context: ValueContext, formula: Normalized) -> list[SheetBlock]:
    return [
        TextLines(
            (
                TextLine(_tr("x, the input value"), context.format_number(formula.value)),
                TextLine(_tr("minus the map's mean"), context.format_number(-formula.mean)),
                TextLine(_tr("the map's variance"), four_digit_text(formula.variance)),
                TextLine(
                    _tr("÷ std. deviation √(variance + {0})").format(four_digit_text(formula.epsilon)),
                    four_digit_text(formula.std),
                ),
                TextLine(_tr("normalized"), context.format_number(formula.normalized), True),
                TextLine(_tr("× weight"), context.format_number(formula.weight)),
                TextLine(_tr("bias"), context.format_number(formula.bias)),
                TextLine(_tr("this value"), context.format_number(context.value), True),
            )
        ),
        *_input_link(context, formula),
    ]


def _shifted(context: ValueContext, formula: Centered) -> list[SheetBlock]:
    mean = TextLine(_tr("minus the mean of all examples"), context.format_number(-formula.mean))
    lines = (
        TextLine(_tr("the pixel"), context.format_number(formula.value)),
        mean,
        TextLine(_tr("this value"), context.format_number(context.value), True),
    )
    return [TextLines(lines), *_input_link(context, formula)]


def _unchanged(context: ValueContext, formula: Identity) -> list[SheetBlock]:
    text = _tr("Flatten: the same value, in one list of the values of all maps.")
    if formula.dropout_rate is not None:
        text = _tr(
            "Dropout switches off {0} of the values during training; a prediction uses all values unchanged."
        ).format(percent_text(formula.dropout_rate))
    return [
        Paragraph(text),
        TextLines((TextLine(_tr("this value"), context.format_number(context.value), True),)),
        *_input_link(context, formula),
    ]


def _skip_sum(context: ValueContext, formula: SkipSum) -> list[SheetBlock]:
    lines = (
        TextLine(_tr("input (skip connection)"), context.format_number(formula.value)),
        TextLine(_tr("output of its layers"), context.format_number(formula.branch)),
        TextLine(_tr("this value"), context.format_number(context.value), True),
    )
    return [TextLines(lines), *_input_link(context, formula)]


def _places(scores: list[float]) -> int:
    """The decimals, at least two, with which the powers of e as shown follow from the scores as shown."""
    top = max(scores)

    def agrees(places: int) -> bool:
        shown = [round(score, places) - round(top, places) for score in scores]
        pairs = zip(shown, (score - top for score in scores), strict=True)
        return all(four_digit_text(math.exp(one)) == four_digit_text(math.exp(other)) for one, other in pairs)

    return next((places for places in range(2, 12) if agrees(places)), 12) if all(map(math.isfinite, scores)) else 2


def _placed(value: float, places: int) -> str:
    """A value with its sign and so many decimals."""
    return f"{value:+.{places}f}".replace("-", MINUS)


def _softmax_blocks(context: ValueContext) -> list[SheetBlock]:
    """The softmax that turns the scores into votes."""
    softmax, network = softmax_terms(context.prediction), context.prediction.model.network
    if softmax is None:
        return []
    top = float(softmax.scores.max())
    places = _places(softmax.scores.tolist())
    less = f"{MINUS} {_placed(top, places).removeprefix('+')}"
    lines = [
        TextLine(
            _tr("{0}: e to the ({1} {2})").format(name, _placed(score, places), less),
            four_digit_text(power),
        )
        for name, score, power in zip(
            network.classes, softmax.scores.tolist(), softmax.exponentials.tolist(), strict=True
        )
    ][:MAX_ROWS]
    lines.append(
        TextLine(
            _tr("their sum, by which each is divided"), four_digit_text(float(softmax.exponentials.sum())), True
        )
    )
    texts = percent_texts(softmax.probabilities.tolist())
    bars = tuple(
        ClassBar(at, name, text, float(share))
        for at, (name, text, share) in enumerate(zip(network.classes, texts, softmax.probabilities, strict=True))
    )[:MAX_ROWS]
    return [Heading(_tr("from scores to votes (softmax)")), TextLines(tuple(lines)), ClassBars(bars)]


# --- where the value is used


def downstream_text(prediction: Prediction, cell: CellRef, truncate: bool = False) -> str:
    """Where a value is used: "This value goes through ReLU as +0.24 and is the pool's maximum"; "" for a score."""
    network, parts = prediction.model.network, []
    names = layer_names(network)
    while cell.layer < len(network.layers):
        layer, shape = network.layers[cell.layer], network.shapes[cell.layer]
        if math.prod(shape) > MAX_TRACED_VALUES:
            break
        if not prediction.activations.has(cell.layer):
            return ""  # not computed yet
        place = cell_index(network, cell.layer, cell.channel, cell.row, cell.column)
        mask = np.zeros(shape, bool)
        mask[place] = True
        users = np.argwhere(layer.influence_mask(shape, mask))
        if not len(users):
            parts.append(_tr("is used by no other value"))
            break
        first = tuple(int(part) for part in users[len(users) // 2])
        if layer.connects_channels or len(users) > 1:
            parts.append(_tr("is used by {0} of {1}").format(_count_text(len(users)), names[cell.layer + 1]))
            break
        if not prediction.activations.has(cell.layer + 1):
            return ""
        formula = value_formula(prediction, cell.layer + 1, first)
        value = fixed_text(float(prediction.activations[cell.layer + 1][first]), truncate)
        if isinstance(formula, Maximum):
            is_maximum = int(np.ravel_multi_index(place, shape)) == int(formula.cells.flat[formula.argmax])
            is_tied = float(prediction.activations[cell.layer][place]) == formula.result
            if not is_maximum:
                tie, loss = (
                    _tr("is as large as the pool's maximum, which comes first"),
                    _tr("is less than the pool's maximum, {0}").format(value),
                )
                parts.append(tie if is_tied else loss)
                break
            parts.append(_tr("is the pool's maximum"))
        elif not layer.is_identity:
            parts.append(_tr("goes through {0} as {1}").format(names[cell.layer + 1], value))
        cell = replace(cell, layer=cell.layer + 1, **_cell_fields(first))
    *first_parts, last_part = parts or [""]
    text = _tr("{0} and {1}").format(", ".join(first_parts), last_part) if first_parts else last_part
    return _tr("This value {0}.").format(text) if parts else ""


def _cell_fields(place: tuple[int, ...]) -> dict[str, int]:
    channel, row, column = (*place, 0, 0)[:3]
    return {"channel": channel, "row": row, "column": column}


def _count_text(users: int) -> str:
    return _tr("one value") if users == 1 else _tr("{0} values").format(integer_text(users))


def _tr(text: str) -> str:
    return QCoreApplication.translate("Inspector", text)


# The function that writes each form of arithmetic.
_FORMS: dict[type[ValueFormula], Callable[..., list[SheetBlock]]] = {
    WeightedSum: _weighted_sum,
    Maximum: _largest,
    ElementwiseFunction: _elementwise,
    Normalized: _normalized,
    Centered: _shifted,
    Identity: _unchanged,
    SkipSum: _skip_sum,
}

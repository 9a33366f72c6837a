"""Arithmetic of one value as the article writes it, in blocks and words: multiply, add up, divide, add the bias."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

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
from xo_gui.app import engine_text, translate
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
from xo_gui.widgets import (
    APPROXIMATELY,
    MINUS,
    Computation,
    NumberForm,
    Operands,
    cell_text,
    fixed_text,
    four_digit_text,
    integer_text,
    operands,
    percent_text,
    result_text,
    shown_number,
    vote_texts,
)

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
    max_rows: the most rows of a list. expands: whether a list offers to show more.
    """

    prediction: Prediction
    cell: CellRef
    selected_map: int | None = None
    truncate: bool = False
    max_rows: int = MAX_ROWS
    expands: bool = True

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

    def number(self, value: float, extra: int = 0) -> str:
        return fixed_text(value, self.truncate, extra)

    def factor(self, value: float, extra: int = 0) -> str:
        """As in a cell of a grid, but a factor that is not 0 is never shown as 0."""
        if self.truncate or not 0 < abs(value) < 0.5 * 10.0 ** -(2 + extra):
            return cell_text(value, self.truncate, extra)
        return fixed_text(value, False, extra).lstrip("+").replace("0.", ".", 1)

    def operands(
        self,
        values: Sequence[float],
        compute: Computation,
        shown: str | Sequence[str],
        extra: int = 0,
        form: NumberForm | Sequence[NumberForm] | None = None,
    ) -> Operands:
        """The numbers of a formula, with digits that give its results as shown, with so many extra ones."""
        return operands(values, compute, lambda value: self.number(value, extra), shown, form or self.number)

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
                translate(
                    "Inspector",
                    "A pixel of the drawing, as the network sees it: −1 is background, 1 is the pen's stroke.",
                )
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
    one = largest_map(context, formula)
    named = translate("Inspector", " on map {0}").format(one + 1) if several else ""
    window = context.input_grid(translate("Inspector", "window") + named, formula.values[one], formula.cells[one])
    feature = NumberGrid(
        translate("Inspector", "feature {0}").format(context.cell.channel + 1) + named,
        formula.weights[one],
        "value",
        rounded_limit(float(np.abs(formula.weights).max())),
    )
    products = _product_grid(context, formula.products, one, window, feature)
    labels, numbers = (
        [translate("Inspector", "sum of {0}").format(integer_text(products.values.size))],
        [float(parts[one])],
    )
    if several:
        labels.append(
            translate("Inspector", "{0} other maps").format(integer_text(len(parts) - 1))
            if len(parts) > 2
            else translate("Inspector", "other map")
        )
        numbers.append(formula.total - float(parts[one]))
    shown_maps = np.argsort(-np.abs(parts), kind="stable")[: context.max_rows].tolist() if several else []
    sums = _sum(context, formula, numbers, _listed(parts, shown_maps) if several else [])
    lines = sums.lines(context, labels, float(products.shown_values(context.truncate).sum()))
    blocks: list[SheetBlock] = [
        SideBySide(window, TIMES, feature),
        SideBySide(products, "", lines),
    ]
    blocks += _frame(context, window)
    return blocks + (_map_contributions(context, parts, one, shown_maps, sums.listed) if several else [])


def _frame(context: ValueContext, window: NumberGrid) -> list[SheetBlock]:
    """What the layer reads in the cells of a window that lie outside the frame, if any do."""
    if window.padding_mask is None:
        return []
    value = cell_text(float(window.values[window.padding_mask][0]), context.truncate)
    return [
        Paragraph(
            translate("Inspector", "Grey cells are outside the frame; the layer reads {0} there.").format(value)
        )
    ]


def largest_map(context: ValueContext, formula: WeightedSum) -> int:
    """The map below that a window over several is shown on: the selected one, or that with the largest
    contribution."""
    if context.selected_map is not None and context.selected_map < len(formula.cells):
        return context.selected_map
    with np.errstate(invalid="ignore"):  # diverged weights give infinite products
        contributions = formula.products.reshape(len(formula.cells), -1).sum(axis=1)
    return int(np.abs(contributions).argmax())


def _product_grid(
    context: ValueContext, products: HostArray, one: int, window: NumberGrid, feature: NumberGrid
) -> NumberGrid:
    """The products on one map; its title says where they do not follow from the factors as shown in their cells."""
    limit = rounded_limit(float(np.abs(products).max()))
    grid = NumberGrid(translate("Inspector", "products"), products[one], "value", limit)
    factors = window.shown_values(context.truncate) * feature.shown_values(context.truncate)
    follows = replace(grid, values=factors).texts(context.truncate) == grid.texts(context.truncate)
    return grid if follows else replace(grid, title=f"{APPROXIMATELY} {grid.title}")


def _listed(parts: HostArray, shown: list[int]) -> list[float]:
    """The parts that are listed, and the sum of the rest if there is any."""
    listed = [float(parts[at]) for at in shown]
    return [*listed, float(parts.sum() - parts[shown].sum())] if parts.size > len(shown) else listed


@dataclass(frozen=True)
class _Sum:
    """A sum as shown, down to the value.

    parts: the numbers added up. listed: the same sum in the numbers of a list. extra_digits: of both.
    mean: what they come to when divided, "" without a division. bias: "" without. value: the value.
    """

    parts: tuple[str, ...]
    listed: tuple[str, ...]
    extra_digits: int
    mean: str
    bias: str
    value: str
    normalizer: int

    def lines(
        self, context: ValueContext, labels: list[str], computed: float | None = None
    ) -> tuple[TextLine, ...]:
        """The lines of the sum. computed: the first part, computed from the numbers shown above it."""
        parts = list(self.parts)
        if computed is not None:
            parts[0] = result_text(computed, lambda value: context.number(value, self.extra_digits), parts[0])
        lines = [TextLine(label, part) for label, part in zip(labels, parts, strict=True)]
        if self.mean:
            label = (
                translate("Inspector", "{0} {1} pixels")
                if context.cell.layer == 1
                else translate("Inspector", "{0} {1} values")
            )
            lines.append(TextLine(label.format(DIVIDED, integer_text(self.normalizer)), self.mean))
        if self.bias:
            lines.append(TextLine(translate("Inspector", "bias"), self.bias))
        return (*lines, TextLine(translate("Inspector", "this value"), self.value, True))


def _sum(context: ValueContext, formula: WeightedSum, parts: list[float], listed: list[float]) -> _Sum:
    """The numbers of a sum, divided by the number of values, with the bias added.

    listed: the same sum in other parts; empty for none.
    """
    value, count, divisor = context.number(context.value), len(parts), formula.normalizer
    # The article has no bias: a mean whose bias is 0 is shown without it.
    biases = [formula.bias] if formula.bias is not None and (formula.bias or divisor == 1) else []
    if divisor == 1:

        def add(numbers: HostArray) -> list[float]:
            bias = numbers[len(numbers) - len(biases) :].sum()
            sums = [numbers[:count].sum() + bias]
            return [*sums, numbers[count : count + len(listed)].sum() + bias] if listed else sums

        shown = context.operands([*parts, *listed, *biases], add, [value] * (1 + bool(listed)))
        bias = shown.texts[-1] if biases else ""
        texts, extra, result = shown.texts, shown.extra_digits, shown.result(value)
        return _Sum(texts[:count], texts[count : count + len(listed)], extra, "", bias, result, 1)
    last = context.operands([formula.total / divisor, *biases], np.sum, value)

    def divide(numbers: HostArray) -> list[float]:
        means = [numbers[:count].sum() / divisor, numbers[count:].sum() / divisor]
        return means[: 1 + bool(listed)]

    means = [last.texts[0]] * (1 + bool(listed))
    first = context.operands([*parts, *listed], divide, means, last.extra_digits)
    texts, bias = first.texts, last.texts[-1] if biases else ""
    mean, result = first.result(last.texts[0]), last.result(value)
    return _Sum(texts[:count], texts[count:], first.extra_digits, mean, bias, result, divisor)


def _map_contributions(
    context: ValueContext, parts: HostArray, one: int, order: list[int], numbers: tuple[str, ...]
) -> list[SheetBlock]:
    """The contribution of each map below, the largest first; a click shows that map. numbers: theirs, and the sum
    of the others."""
    most = float(np.abs(parts).max()) or 1.0
    ranks = tuple(
        RankedRow(translate("Inspector", "map {0}").format(at + 1), "", number, float(parts[at]) / most,
             part_index=at, is_selected=at == one)
        for at, number in zip(order, numbers, strict=False)
    )  # fmt: skip
    return [
        Heading(translate("Inspector", "contribution of each map below (click to see it)")),
        RankedList(ranks),
        *_remaining(context, parts, order, numbers[-1]),
    ]


def _remaining(context: ValueContext, parts: HostArray, shown: list[int], missing: str) -> list[SheetBlock]:
    """One row for all that are not listed, and their sum; a click lists more of those that are not 0."""
    rest = parts.size - len(shown)
    if not rest:
        return []
    label = translate("Inspector", "{0} others").format(integer_text(rest))
    if not context.expands or context.max_rows >= MAX_ROWS_EXPANDED or np.count_nonzero(parts) <= len(shown):
        return [TextLines((TextLine(label, missing),))]
    return [
        RankedList(
            (
                RankedRow(
                    translate("Inspector", "{0}: show more").format(label), "", missing, 0.0, part_index=SHOW_MORE
                ),
            )
        )
    ]


def _mean(context: ValueContext, formula: WeightedSum) -> list[SheetBlock]:
    rows, columns = formula.cells.shape
    labels = [translate("Inspector", "sum of {0}").format(integer_text(formula.cells.size))]
    sums = _sum(context, formula, [formula.total], [])
    if max(rows, columns) > 16:
        text = translate("Inspector", "The mean of the whole map, {0} × {1}.").format(rows, columns)
        return [Paragraph(text), TextLines(sums.lines(context, labels))]
    window = context.input_grid(translate("Inspector", "window"), formula.values, formula.cells)
    return [SideBySide(window, "", sums.lines(context, labels, float(window.shown_values(context.truncate).sum())))]


def _list(context: ValueContext, formula: WeightedSum) -> list[SheetBlock]:
    """The products of a list, the largest first."""
    products = formula.products
    largest = np.argsort(-np.abs(products), kind="stable")[: context.max_rows]
    order = largest[products[largest] != 0].tolist()
    most = float(np.abs(products).max()) or 1.0
    is_unweighted = bool((formula.weights == 1).all())
    sums = _sum(context, formula, [formula.total], [])
    listed = context.operands(_listed(products, order), np.sum, sums.parts[0], sums.extra_digits)
    ranks = []
    for at, number in zip(order, listed.texts, strict=False):
        value, weight = float(formula.values[at]), float(formula.weights[at])
        factors = ""
        if not is_unweighted:
            shown = context.operands((value, weight), np.prod, number, listed.extra_digits, context.factor)
            factors, number = f" {TIMES} ".join(shown.texts), shown.result(number)
        (cell,) = context.input_cells(formula.cells[at : at + 1])
        assert cell is not None
        inner = unflattened(context.prediction.model.network, cell)
        ranks.append(RankedRow(input_name(inner, cell), factors, number, float(products[at]) / most, inner))
    title = (
        translate("Inspector", "its strong values, the largest first")
        if is_unweighted
        else translate("Inspector", "value × weight, the largest first")
    )
    total = replace(sums, parts=(listed.result(sums.parts[0]),))
    lines = total.lines(context, [translate("Inspector", "sum of {0}").format(integer_text(products.size))])
    others = _remaining(context, products, order, listed.texts[-1] if listed.texts else "")
    return [Heading(title), RankedList(tuple(ranks)), *others, TextLines(lines)]


def input_name(inner: CellRef, cell: CellRef) -> str:
    """The name of the input value `cell`. inner: its cell before flattening, on a map, or `cell` itself."""
    if inner == cell:
        return translate("Inspector", "value {0}").format(integer_text(cell.channel + 1))
    return translate("Inspector", "map {0}: {1}, {2}").format(inner.channel + 1, inner.row + 1, inner.column + 1)


# --- all other forms


def _largest(context: ValueContext, formula: Maximum) -> list[SheetBlock]:
    grid = context.input_grid(
        translate("Inspector", "window"), formula.values, formula.cells, frozenset({formula.argmax})
    )
    computed = float(grid.shown_values(context.truncate).max())
    largest = result_text(computed, context.number, context.number(formula.result))
    blocks: list[SheetBlock] = [
        SideBySide(grid, "→", (TextLine(translate("Inspector", "maximum"), largest, True),))
    ]
    if formula.tie_count > 1:
        tie = translate(
            "Inspector",
            "{0} of the {1} values are equally large; the first in reading order counts as the maximum.",
        )
        blocks.append(Paragraph(tie.format(formula.tie_count, formula.values.size)))
    elif formula.values.size > 1:
        row, column = divmod(formula.argmax, formula.values.shape[1])
        blocks.append(
            Paragraph(
                translate("Inspector", "The maximum is in row {0}, column {1} of the window.").format(
                    row + 1, column + 1
                )
            )
        )
    return blocks


def _elementwise(context: ValueContext, formula: ElementwiseFunction) -> list[SheetBlock]:
    x, y, spelling = formula.value, context.number(context.value), formula.spelling
    template, values = spelling.rule
    terms: list[TextLine] = []
    if spelling.names:
        with np.errstate(over="ignore"):
            numbers = spelling.terms(np.array([x])).tolist()
        given = context.operands(numbers, spelling.result, y, 0, four_digit_text)
        y, extra = given.result(y), given.extra_digits
        argument = operands(
            [x], spelling.terms, lambda value: four_digit_text(value, extra), given.texts, context.number
        )
        named = zip(spelling.names, given.texts, strict=True)
        terms = [TextLine(engine_text(name), argument.result(text)) for name, text in named]
    else:
        argument = context.operands([x], spelling.result, y)
        y = argument.result(y)
    lines = (TextLine(translate("Inspector", "x, the input value"), argument.texts[0]), *terms)
    label = engine_text(template).format(*values)
    return [TextLines((*lines, TextLine(label, y, True))), *_input_link(context, formula)]


def _input_link(context: ValueContext, formula: ValueFormula) -> list[SheetBlock]:
    """A link to the single input value."""
    cell = context.input_cells(formula.cells)[0]
    return (
        [RankedList((RankedRow(translate("Inspector", "← go to x"), "", "", 0.0, cell),))]
        if cell is not None
        else []
    )


def _normalized(context: ValueContext, formula: Normalized) -> list[SheetBlock]:
    value = context.number(context.value)
    last = context.operands(
        (formula.normalized, formula.weight, formula.bias),
        lambda numbers: numbers[0] * numbers[1] + numbers[2],
        value,
    )
    normalized, weight, bias = last.texts
    middle = context.operands(
        (formula.value, -formula.mean, formula.std),
        lambda numbers: (numbers[0] + numbers[1]) / numbers[2],
        normalized,
        last.extra_digits,
        (context.number, context.number, four_digit_text),
    )
    x, mean, std = middle.texts
    first = operands(
        (formula.variance, formula.epsilon),
        lambda numbers: np.sqrt(numbers.sum()),
        lambda number: four_digit_text(number, middle.extra_digits),
        std,
        four_digit_text,
    )
    variance, epsilon = first.texts
    lines = (
        TextLine(translate("Inspector", "x, the input value"), x),
        TextLine(translate("Inspector", "minus the map's mean"), mean),
        TextLine(translate("Inspector", "the map's variance"), variance),
        TextLine(translate("Inspector", "÷ std. deviation √(variance + {0})").format(epsilon), first.result(std)),
        TextLine(translate("Inspector", "normalized"), middle.result(normalized), True),
        TextLine(translate("Inspector", "× weight"), weight),
        TextLine(translate("Inspector", "bias"), bias),
        TextLine(translate("Inspector", "this value"), last.result(value), True),
    )
    return [TextLines(lines), *_input_link(context, formula)]


def _two_terms(
    context: ValueContext, formula: ValueFormula, first: tuple[str, float], second: tuple[str, float]
) -> list[SheetBlock]:
    """Two numbers under their labels that add up to the value."""
    value = context.number(context.value)
    given = context.operands((first[1], second[1]), np.sum, value)
    lines = (
        TextLine(first[0], given.texts[0]),
        TextLine(second[0], given.texts[1]),
        TextLine(translate("Inspector", "this value"), given.result(value), True),
    )
    return [TextLines(lines), *_input_link(context, formula)]


def _shifted(context: ValueContext, formula: Centered) -> list[SheetBlock]:
    mean = translate("Inspector", "minus the mean of all examples"), -formula.mean
    return _two_terms(context, formula, (translate("Inspector", "the pixel"), formula.value), mean)


def _unchanged(context: ValueContext, formula: Identity) -> list[SheetBlock]:
    text = translate("Inspector", "Flatten: the same value, in one list of the values of all maps.")
    if formula.dropout_rate is not None:
        text = translate(
            "Inspector",
            "Dropout switches off {0} of the values during training; a prediction uses all values unchanged.",
        ).format(percent_text(formula.dropout_rate))
    return [
        Paragraph(text),
        TextLines((TextLine(translate("Inspector", "this value"), context.number(context.value), True),)),
        *_input_link(context, formula),
    ]


def _skip_sum(context: ValueContext, formula: SkipSum) -> list[SheetBlock]:
    skipped = translate("Inspector", "input (skip connection)"), formula.value
    return _two_terms(context, formula, skipped, (translate("Inspector", "output of its layers"), formula.branch))


def _softmax_blocks(context: ValueContext) -> list[SheetBlock]:
    """The softmax that turns the scores into votes."""
    softmax, network = softmax_terms(context.prediction), context.prediction.model.network
    if softmax is None:
        return []
    scores, exponentials = softmax.scores, softmax.exponentials.tolist()
    listed, top = min(len(exponentials), MAX_ROWS), int(scores.argmax())
    rest = [math.fsum(exponentials[listed:])] if len(exponentials) > listed else []
    total = four_digit_text(math.fsum(exponentials))
    added = operands([*exponentials[:listed], *rest], np.sum, four_digit_text, total, four_digit_text)
    raised = operands(
        [*scores[:listed].tolist(), float(scores[top])],
        lambda numbers: np.exp(numbers[:-1] - numbers[-1]),
        lambda number: four_digit_text(number, added.extra_digits),
        added.texts[:listed],
        lambda score, extra: f"{score:+.{2 + extra}f}".replace("-", MINUS),
    )
    *shown, largest = raised.texts
    less = f"{MINUS} {largest.removeprefix('+')}"
    lines = [
        TextLine(translate("Inspector", "{0}: e to the ({1} {2})").format(name, score, less), raised.result(power))
        for name, score, power in zip(network.classes, shown, added.texts, strict=False)
    ]
    if rest:
        others = integer_text(len(exponentials) - listed)
        lines.append(TextLine(translate("Inspector", "{0} others").format(others), added.texts[-1]))
    lines.append(TextLine(translate("Inspector", "their sum, by which each is divided"), added.result(total), True))
    votes = vote_texts(network, softmax.probabilities.tolist())
    bars = tuple(
        ClassBar(at, name, _share_text(power, total, text), float(softmax.probabilities[at]))
        for at, (name, power, text) in enumerate(zip(network.classes, added.texts, votes, strict=False))
        if at < listed
    )
    return [
        Heading(translate("Inspector", "from scores to votes (softmax)")),
        TextLines(tuple(lines)),
        ClassBars(bars),
    ]


def _share_text(power: str, total: str, vote: str) -> str:
    """A vote, marked where it is rounded so that all add up."""
    digits = len(vote.removesuffix(" %").partition(".")[2])
    if vote.startswith(("<", ">")):
        return vote
    return result_text(shown_number(power) / shown_number(total), lambda share: f"{100 * share:.{digits}f} %", vote)


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
            parts.append(translate("Inspector", "is used by no other value"))
            break
        first = tuple(int(part) for part in users[len(users) // 2])
        if layer.traits.connects_channels or len(users) > 1:
            parts.append(
                translate("Inspector", "is used by {0} of {1}").format(
                    _count_text(len(users)), names[cell.layer + 1]
                )
            )
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
                    translate("Inspector", "is as large as the pool's maximum, which comes first"),
                    translate("Inspector", "is less than the pool's maximum, {0}").format(value),
                )
                parts.append(tie if is_tied else loss)
                break
            parts.append(translate("Inspector", "is the pool's maximum"))
        elif not layer.traits.is_identity:
            parts.append(translate("Inspector", "goes through {0} as {1}").format(names[cell.layer + 1], value))
        cell = replace(cell, layer=cell.layer + 1, **_cell_fields(first))
    *first_parts, last_part = parts or [""]
    text = (
        translate("Inspector", "{0} and {1}").format(", ".join(first_parts), last_part)
        if first_parts
        else last_part
    )
    return translate("Inspector", "This value {0}.").format(text) if parts else ""


def _cell_fields(place: tuple[int, ...]) -> dict[str, int]:
    channel, row, column = (*place, 0, 0)[:3]
    return {"channel": channel, "row": row, "column": column}


def _count_text(users: int) -> str:
    return (
        translate("Inspector", "one value")
        if users == 1
        else translate("Inspector", "{0} values").format(integer_text(users))
    )


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

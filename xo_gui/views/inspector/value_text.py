"""Spelling: the arithmetic of one value as the article writes it: multiply, add up, divide, add the bias."""

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

# So many products of a list are told one by one, the rest in one line; so many at most if one wants more of them.
MOST_RANKS, MOST_WANTED = 10, 160
# Chosen: to be told more of them.
MORE = -1
TIMES, DIVIDED = "×", "÷"


@dataclass(frozen=True, eq=False)
class Spelled:
    """One value to spell out. chosen: which map of a window over several is shown; None for the one that counts
    most. cut: whether digits are cut off instead of rounded. most: how many products of a list are told."""

    reading: Reading
    cell: Cell
    chosen: int | None = None
    cut: bool = False
    most: int = MOST_RANKS

    @property
    def value(self) -> float:
        """The reading's own value."""
        channel, *rest = place_in(self.reading.subject.network, self.cell.layer, *self._place)
        made = self.reading.outputs.maps(self.cell.layer, range(channel, channel + 1))
        return float(made[(0, *rest)])

    @property
    def arithmetic(self) -> Arithmetic | None:
        """How it came about; None of a pixel."""
        sides = len(self.reading.outputs.shapes[self.cell.layer])
        return arithmetic(self.reading, self.cell.layer, self._place[:sides])

    @property
    def _place(self) -> tuple[int, int, int]:
        return self.cell.channel, self.cell.row, self.cell.column

    def number(self, value: float) -> str:
        """A number of the sum."""
        return fixed(value, self.cut)

    def below(self, cells: HostArray) -> tuple[Cell | None, ...]:
        """The cells of the layer below at flat places, in row order; None outside the frame."""
        shape, layer = self.reading.outputs.shapes[self.cell.layer - 1], self.cell.layer - 1
        found: list[Cell | None] = []
        for place in cells.ravel().tolist():
            channel, row, column = (*(int(part) for part in np.unravel_index(max(place, 0), shape)), 0, 0)[:3]
            found.append(None if place == OUTSIDE else Cell(layer, channel, row, column, self.cell.subject))
        return tuple(found)

    def grid(self, title: str, values: HostArray, cells: HostArray, ring: frozenset[int] = frozenset()) -> Grid:
        """A window of the layer below."""
        picture = self.cell.layer == 1
        level = 1.0 if picture else calm(float(np.abs(values).max()))
        outside = cells == OUTSIDE
        return Grid(
            title, values, "picture" if picture else "value", level, outside if outside.any() else None, ring,
            self.below(cells),
        )  # fmt: skip


def spell(what: Spelled) -> list[Block]:
    """Blocks that tell how the value came about."""
    with np.errstate(over="ignore", invalid="ignore"):  # weights that have run away give values that are no numbers
        return _spelled(what)


def _spelled(what: Spelled) -> list[Block]:
    made = what.arithmetic
    if made is None:
        return [
            Note(_tr("A pixel of the drawing, as the network sees it: −1 is background, 1 is the pen's stroke."))
        ]
    blocks = _FORMS[type(made)](what, made)
    if what.cell.layer == len(what.reading.subject.network.layers):
        blocks += _shares(what)
    return blocks


# --- weighed sums


def _sum(what: Spelled, made: WeightedSum) -> list[Block]:
    if made.cells.ndim == 3:
        return _window(what, made)
    if made.cells.ndim == 2:
        return _mean(what, made)
    return _list(what, made)


def _window(what: Spelled, made: WeightedSum) -> list[Block]:
    """The window of one map times the feature, and what the other maps bring."""
    parts = made.products.reshape(len(made.cells), -1).sum(axis=1)
    several = len(parts) > 1
    one = int(np.abs(parts).argmax()) if what.chosen is None or what.chosen >= len(parts) else what.chosen
    named = _tr(" on map {0}").format(one + 1) if several else ""
    weights, products = made.weights[one], made.products[one]
    feature = Grid(
        _tr("feature {0}").format(what.cell.channel + 1) + named,
        weights,
        "value",
        calm(float(np.abs(made.weights).max())),
    )
    lines = [Line(_tr("sum of {0}").format(number(products.size)), what.number(float(parts[one])))]
    if several:
        others = _tr("{0} other maps").format(number(len(parts) - 1)) if len(parts) > 2 else _tr("other map")
        lines.append(Line(others, what.number(made.total - float(parts[one]))))
    blocks: list[Block] = [
        Pair(what.grid(_tr("window") + named, made.values[one], made.cells[one]), TIMES, feature),
        Pair(
            Grid(_tr("products"), products, "value", calm(float(np.abs(made.products).max()))),
            "",
            (*lines, *_ending(what, made)),
        ),
    ]
    return blocks + (_maps(what, parts, one) if several else [])


def _ending(what: Spelled, made: WeightedSum) -> list[Line]:
    """Divide by the number of pixels, add the bias."""
    lines = []
    if made.divisor > 1:
        said = _tr("{0} {1} pixels") if what.cell.layer == 1 else _tr("{0} {1} values")
        average = said.format(DIVIDED, number(made.divisor))
        lines.append(Line(average, what.number(made.total / made.divisor)))
    # The article has no bias: where it is switched on but 0, a mean is told without it.
    if made.bias is not None and (made.bias or made.divisor == 1):
        lines.append(Line(_tr("bias"), what.number(made.bias)))
    return [*lines, Line(_tr("this cell"), what.number(what.value), True)]


def _maps(what: Spelled, parts: HostArray, one: int) -> list[Block]:
    """What each map below brings: the largest first, for a click to be shown."""
    order = np.argsort(-np.abs(parts), kind="stable")[: what.most].tolist()
    most = float(np.abs(parts).max()) or 1.0
    ranks = tuple(
        Rank(_tr("map {0}").format(at + 1), "", what.number(float(parts[at])), float(parts[at]) / most,
             choice=at, chosen=at == one)
        for at in order
    )  # fmt: skip
    return [
        Heading(_tr("what each map below brings (click to see it)")),
        Ranked(ranks),
        *_left_out(what, parts, order),
    ]


def _left_out(what: Spelled, parts: HostArray, told: list[int]) -> list[Block]:
    """A line for those that are not told one by one; a click on it tells more of those that are not 0."""
    rest = parts.size - len(told)
    if not rest:
        return []
    missing, said = float(parts.sum() - parts[told].sum()), _tr("{0} others").format(number(rest))
    if what.most >= MOST_WANTED or np.count_nonzero(parts) <= len(told):
        return [Lines((Line(said, what.number(missing)),))]
    return [Ranked((Rank(_tr("{0}: show more").format(said), "", what.number(missing), 0.0, choice=MORE),))]


def _mean(what: Spelled, made: WeightedSum) -> list[Block]:
    rows, columns = made.cells.shape
    lines = (Line(_tr("sum of {0}").format(number(made.cells.size)), what.number(made.total)), *_ending(what, made))
    if max(rows, columns) > 16:
        return [Note(_tr("The mean of a whole map, {0} × {1}.").format(rows, columns)), Lines(lines)]
    return [Pair(what.grid(_tr("window"), made.values, made.cells), "", lines)]


def _list(what: Spelled, made: WeightedSum) -> list[Block]:
    """A list's products, the largest first."""
    products = made.products
    largest = np.argsort(-np.abs(products), kind="stable")[: what.most]
    order = largest[products[largest] != 0].tolist()
    most = float(np.abs(products).max()) or 1.0
    alike = bool((made.weights == 1).all())
    ranks = []
    for at in order:
        value, weight = (_factor(float(each[at]), what.cut) for each in (made.values, made.weights))
        factors = "" if alike else f"{value} {TIMES} {weight}"
        (cell,) = what.below(made.cells[at : at + 1])
        assert cell is not None
        inner = in_maps(what.reading.subject.network, cell)
        product, share = what.number(float(products[at])), float(products[at]) / most
        ranks.append(Rank(listed(inner, cell), factors, product, share, inner))
    title = _tr("its strong values, the largest first") if alike else _tr("value × weight, the largest first")
    lines = (Line(_tr("sum of {0}").format(number(products.size)), what.number(made.total)), *_ending(what, made))
    return [Heading(title), Ranked(tuple(ranks)), *_left_out(what, products, order), Lines(lines)]


def listed(inner: Cell, cell: Cell) -> str:
    """How a value of a list is called: by its place on a map, if it comes from one."""
    if inner == cell:
        return _tr("value {0}").format(number(cell.channel + 1))
    return _tr("map {0}: {1}, {2}").format(inner.channel + 1, inner.row + 1, inner.column + 1)


def _factor(value: float, cut: bool) -> str:
    """As in a cell, but no factor of a product that is told is nothing."""
    if cut or not 0 < abs(value) < 0.005:
        return cell_text(value, cut)
    return fixed(value).lstrip("+").replace("0.", ".", 1)


# --- all other forms


def _largest(what: Spelled, made: Largest) -> list[Block]:
    lines = (Line(_tr("the largest"), what.number(made.result), True),)
    grid = what.grid(_tr("window"), made.values, made.cells, frozenset({made.winner}))
    blocks: list[Block] = [Pair(grid, "→", lines)]
    if made.tied > 1:
        tie = _tr("{0} of the {1} are equally large; the first in reading order counts as the winner.")
        blocks.append(Note(tie.format(made.tied, made.values.size)))
    elif made.values.size > 1:
        row, column = divmod(made.winner, made.values.shape[1])
        blocks.append(Note(_tr("Row {0}, column {1} of the window won.").format(row + 1, column + 1)))
    return blocks


def _bent(what: Spelled, made: Bent) -> list[Block]:
    x, y = what.number(made.value), what.number(what.value)
    said = {
        "relu": (_tr("not below 0: it stays as it is") if made.value > 0 else _tr("0 or below: it becomes 0")),
        "leaky_relu": _tr("it stays as it is") if made.value > 0 else _tr("below 0: times {0:g}").format(made.leak),
        "tanh": _tr("(eˣ − e⁻ˣ) ÷ (eˣ + e⁻ˣ)"),
        "sigmoid": _tr("1 ÷ (1 + e⁻ˣ)"),
    }[made.function]
    lines = [Line(_tr("x, the value before"), x)]
    if made.function == "tanh":
        lines.append(Line(_tr("eˣ"), figures(float(np.exp(made.value)))))
    if made.function in ("tanh", "sigmoid"):
        lines.append(Line(_tr("e⁻ˣ"), figures(float(np.exp(-made.value)))))
    return [Lines((*lines, Line(said, y, True))), *_before(what, made)]


def _before(what: Spelled, made: Arithmetic) -> list[Block]:
    """A way to the one value it was made from."""
    cell = what.below(made.cells)[0]
    return [Ranked((Rank(_tr("← go to x"), "", "", 0.0, cell),))] if cell is not None else []


def _normalized(what: Spelled, made: Normalized) -> list[Block]:
    return [
        Lines(
            (
                Line(_tr("x, the value before"), what.number(made.value)),
                Line(_tr("less the map's mean"), what.number(-made.mean)),
                Line(_tr("the map's variance"), figures(made.variance)),
                Line(_tr("÷ its spread, √(variance + {0})").format(figures(made.epsilon)), figures(made.spread)),
                Line(_tr("in spreads from the mean"), what.number(made.normal), True),
                Line(_tr("× weight"), what.number(made.weight)),
                Line(_tr("bias"), what.number(made.bias)),
                Line(_tr("this cell"), what.number(what.value), True),
            )
        ),
        *_before(what, made),
    ]


def _shifted(what: Spelled, made: Shifted) -> list[Block]:
    mean = Line(_tr("less the mean of all examples"), what.number(-made.mean))
    lines = (
        Line(_tr("the pixel"), what.number(made.value)),
        mean,
        Line(_tr("this cell"), what.number(what.value), True),
    )
    return [Lines(lines), *_before(what, made)]


def _passed(what: Spelled, made: Passed) -> list[Block]:
    said = _tr("The same value, written in a list: map by map, row by row.")
    if made.rate is not None:
        said = _tr(
            "While reading, dropout changes nothing; while learning it switches off {0} of the values."
        ).format(percent(made.rate))
    return [Note(said), Lines((Line(_tr("this cell"), what.number(what.value), True),)), *_before(what, made)]


def _skipped(what: Spelled, made: Skipped) -> list[Block]:
    lines = (
        Line(_tr("what goes in"), what.number(made.value)),
        Line(_tr("what the stack adds"), what.number(made.stack)),
        Line(_tr("this cell"), what.number(what.value), True),
    )
    return [Lines(lines), *_before(what, made)]


def _shares(what: Spelled) -> list[Block]:
    """How the scores become shares of the votes."""
    made, network = softmax_of(what.reading), what.reading.subject.network
    if made is None:
        return []
    top = float(made.scores.max())
    less = f"{MINUS} {what.number(top).lstrip(chr(43))}"
    lines = [
        Line(
            _tr("{0}: e to the ({1} {2})").format(name, what.number(score), less),
            figures(power),
        )
        for name, score, power in zip(network.classes, made.scores.tolist(), made.powers.tolist(), strict=True)
    ][:MOST_RANKS]
    lines.append(Line(_tr("their sum, by which each is divided"), figures(float(made.powers.sum())), True))
    bars = tuple(
        ClassBar(at, name, percent(float(share)), float(share))
        for at, (name, share) in enumerate(zip(network.classes, made.shares, strict=True))
    )[:MOST_RANKS]
    return [Heading(_tr("from scores to shares of the votes (softmax)")), Lines(tuple(lines)), ClassBars(bars)]


def _tr(text: str) -> str:
    return QCoreApplication.translate("Inspector", text)


# How each form of arithmetic is written.
_FORMS: dict[type[Arithmetic], Callable[..., list[Block]]] = {
    WeightedSum: _sum,
    Largest: _largest,
    Bent: _bent,
    Normalized: _normalized,
    Shifted: _shifted,
    Passed: _passed,
    Skipped: _skipped,
}


def goes_on(reading: Reading, cell: Cell, cut: bool = False) -> str:
    """ "Goes on through ReLU as +0.24, wins its pool, and is read by 32 values of Hidden."; "" of a vote."""
    network, parts = reading.subject.network, []
    names = layer_names(network)
    while cell.layer < len(network.layers):
        layer, shape = network.layers[cell.layer], network.shapes[cell.layer]
        if math.prod(shape) > MOST_ONWARD:
            break
        if not reading.outputs.holds(cell.layer):
            return ""  # on its way from the engine
        place = place_in(network, cell.layer, cell.channel, cell.row, cell.column)
        mask = np.zeros(shape, bool)
        mask[place] = True
        readers = np.argwhere(layer.reached_from(shape, mask))
        if not len(readers):
            parts.append(_tr("is read by nobody"))
            break
        first = tuple(int(part) for part in readers[len(readers) // 2])
        if layer.mixes_maps or len(readers) > 1:
            parts.append(_tr("is read by {0} of {1}").format(_count(len(readers)), names[cell.layer + 1]))
            break
        if not reading.outputs.holds(cell.layer + 1):
            return ""
        made = arithmetic(reading, cell.layer + 1, first)
        value = fixed(float(reading.outputs[cell.layer + 1][first]), cut)
        if isinstance(made, Largest):
            mine = int(np.ravel_multi_index(place, shape)) == int(made.cells.flat[made.winner])
            tied = float(reading.outputs[cell.layer][place]) == made.result
            lost = (
                _tr("is as large as its pool's winner, which comes first") if tied else _tr("loses its pool to {0}")
            )
            parts.append(_tr("wins its pool") if mine else lost.format(value))
            if not mine:
                break
        elif not layer.relays:
            parts.append(_tr("through {0} as {1}").format(names[cell.layer + 1], value))
        cell = replace(cell, layer=cell.layer + 1, **_where(first))
    return _tr("Goes on: {0}.").format(", ".join(parts)) if parts else ""


def _where(place: tuple[int, ...]) -> dict[str, int]:
    channel, row, column = (*place, 0, 0)[:3]
    return {"channel": channel, "row": row, "column": column}


def _count(readers: int) -> str:
    return _tr("one value") if readers == 1 else _tr("{0} values").format(number(readers))

"""The sentences of a comparison: how the two networks and their values differ."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from engine.explain.model_difference import Difference
from engine.nn.layers import shape_text
from xo_gui.state.selection import Cell
from xo_gui.views.network.layer_labels import layer_names
from xo_gui.views.network.model_names import LETTERS
from xo_gui.views.network.value_text import Readout, say_cell, say_weight
from xo_gui.widgets.number_text import MINUS, signed

BOTH = f"B {MINUS} A"


def difference_words(difference: Difference) -> str:
    """The sentence about the whole difference."""
    if not difference.layers:
        first, second = (reading.subject.network.input_shape for reading in (difference.first, difference.second))
        return _tr("The input of A is {0} pixels and that of B {1}, so their values do not correspond.").format(
            shape_text(first[1:]), shape_text(second[1:])
        )
    if all(difference.largest(layer) == 0 for layer in difference.layers):
        return _tr("the same in every value that both have")
    return _tr("green where B is larger, violet where A is")


def gap_words(difference: Difference) -> str:
    """Where the layers of the two do not match, and why; "" if all match."""
    first, second = difference.first.subject.network, difference.second.subject.network
    ends = max(len(first.shapes), len(second.shapes))
    missing = [layer for layer in range(ends) if layer not in difference.layers]
    if not missing or not difference.layers:
        return ""
    at = missing[0]
    parts = []
    for letter, network in zip(LETTERS, (first, second), strict=True):
        if at < len(network.shapes):
            name = layer_names(network)[at]
            parts.append(_tr("{0} has {1}, {2}").format(letter, name, shape_text(network.shapes[at])))
        else:
            parts.append(_tr("{0} has no such layer").format(letter))
    text = _tr(
        "Layers are subtracted if their index, counted from the input, and their shape are equal. At layer {0} "
        "they are not: {1}."
    )
    return text.format(at, "; ".join(parts))


def say_difference(difference: Difference, cell: Cell) -> Readout:
    """The summary of a value of both networks and its difference; of one network if the other has no such value."""
    reading = (difference.first, difference.second)[cell.subject]
    single = say_cell(reading, cell)
    if cell.layer not in difference.layers:
        text = _tr("only in {0}; {1}").format(LETTERS[cell.subject], single.reads)
        return Readout(f"{LETTERS[cell.subject]} · {single.place}", single.value, text.rstrip("; "))
    maps = range(cell.channel, cell.channel + 1)
    if not difference.holds(cell.layer, maps):
        return single  # until the values arrive from the engine
    both = [one.outputs.maps(cell.layer, maps)[0] for one in (difference.first, difference.second)]
    first, second = (float(values[cell.row, cell.column] if values.ndim else values) for values in both)
    return _both_values(single, first, second)


def say_weight_difference(difference: Difference, subject: int, layer: int, place: tuple[int, ...]) -> Readout:
    """The summary of a weight of both networks and its difference. place: feature, channel, row, column."""
    feature, channel, row, column = place
    readings = (difference.first, difference.second)
    single = say_weight(readings[subject], layer, (feature, channel, row, column))
    if difference.weights(layer) is None:
        return Readout(f"{LETTERS[subject]} · {single.place}", single.value, single.reads)
    names_of = [reading.subject.network.names[layer] for reading in readings]
    values = [
        float(reading.subject.parameters[f"{name}.weight"][feature, channel, row, column])
        for reading, name in zip(readings, names_of, strict=True)
    ]
    return _both_values(single, *values)


def _both_values(single: Readout, first: float, second: float) -> Readout:
    if first == second:
        value = _tr("A and B {0}").format(signed(first))
        return Readout(single.place, value, _tr("the same in both"))
    value = f"A {signed(first)}   B {signed(second)}   {BOTH} {_difference_number(second - first)}"
    return Readout(single.place, value, single.reads)


def _difference_number(value: float) -> str:
    """Like `signed`, but with one significant digit where that would round to 0."""
    return signed(value) if abs(value) >= 0.005 or value != value else f"{value:+.0e}".replace("-", MINUS)


def _tr(text: str) -> str:
    return QCoreApplication.translate("CompareView", text)

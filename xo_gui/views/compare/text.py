"""Compare words: what the two networks that are compared are called, and how they differ. It knows no widget."""

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
    """What the row of differences shows, in one sentence."""
    if not difference.layers:
        first, second = (reading.subject.network.input_shape for reading in (difference.first, difference.second))
        return _tr("A reads {0} pixels and B {1}, so no value of one is the other's counterpart.").format(
            shape_text(first[1:]), shape_text(second[1:])
        )
    if all(difference.largest(layer) == 0 for layer in difference.layers):
        return _tr("the same in every value that both have")
    return _tr("green where B has more, violet where A has")


def gap_words(difference: Difference) -> str:
    """Where the two do not match, and why; "" where they match everywhere."""
    first, second = difference.first.subject.network, difference.second.subject.network
    ends = max(len(first.shapes), len(second.shapes))
    missing = [layer for layer in range(ends) if layer not in difference.layers]
    if not missing or not difference.layers:
        return ""
    at = missing[0]
    said = []
    for letter, network in zip(LETTERS, (first, second), strict=True):
        if at < len(network.shapes):
            name = layer_names(network)[at]
            said.append(_tr("{0} has {1}, {2}").format(letter, name, shape_text(network.shapes[at])))
        else:
            said.append(_tr("{0} has no such layer").format(letter))
    words = _tr(
        "Layers are subtracted where place, counted from the input, and shape are equal. At layer {0} they are "
        "not: {1}."
    )
    return words.format(at, "; ".join(said))


def say_difference(difference: Difference, cell: Cell) -> Readout:
    """One value in both, and the difference; in the one that has it where there is no counterpart."""
    reading = (difference.first, difference.second)[cell.subject]
    alone = say_cell(reading, cell)
    if cell.layer not in difference.layers:
        said = _tr("{0} alone has this; {1}").format(LETTERS[cell.subject], alone.reads)
        return Readout(f"{LETTERS[cell.subject]} · {alone.place}", alone.value, said.rstrip("; "))
    maps = range(cell.channel, cell.channel + 1)
    if not difference.holds(cell.layer, maps):
        return alone  # on its way from the engine
    both = [one.outputs.maps(cell.layer, maps)[0] for one in (difference.first, difference.second)]
    first, second = (float(made[cell.row, cell.column] if made.ndim else made) for made in both)
    return _three(alone, first, second)


def say_weight_difference(difference: Difference, subject: int, layer: int, place: tuple[int, ...]) -> Readout:
    """The same of a weight (feature, channel, row, column)."""
    feature, channel, row, column = place
    readings = (difference.first, difference.second)
    alone = say_weight(readings[subject], layer, (feature, channel, row, column))
    if difference.weights(layer) is None:
        return Readout(f"{LETTERS[subject]} · {alone.place}", alone.value, alone.reads)
    names_of = [reading.subject.network.names[layer] for reading in readings]
    values = [
        float(reading.subject.parameters[f"{name}.weight"][feature, channel, row, column])
        for reading, name in zip(readings, names_of, strict=True)
    ]
    return _three(alone, *values)


def _three(alone: Readout, first: float, second: float) -> Readout:
    apart = second - first
    if first == second:
        value = _tr("A and B {0}").format(signed(first))
        return Readout(alone.place, value, _tr("the same in both"))
    value = f"A {signed(first)}   B {signed(second)}   {BOTH} {_fine(apart)}"
    return Readout(alone.place, value, alone.reads)


def _fine(value: float) -> str:
    """As `signed`, but what that would round to nothing is told by its first figure."""
    return signed(value) if abs(value) >= 0.005 or value != value else f"{value:+.0e}".replace("-", MINUS)


def _tr(text: str) -> str:
    return QCoreApplication.translate("CompareView", text)

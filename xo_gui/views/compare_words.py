"""Compare words: what the two networks that are compared are called, and how they differ. It knows no widget."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from engine.explain.model_difference import Difference
from engine.nn.inference import UNSURE, Reading
from engine.nn.layers import shape_text
from engine.nn.model import Subject
from engine.runtime.training_protocol import Training
from xo_gui.state.selection import Cell
from xo_gui.views.numerals import MINUS, signed
from xo_gui.views.readout import Readout, say_cell, say_weight
from xo_gui.views.stages import layer_names

LETTERS = ("A", "B")
BOTH = f"B {MINUS} A"


def called(subject: Subject, training: Training | None = None, live: bool = False) -> str:
    """What a subject is called where there are two: its name, and the moment of training that it is. live: whether
    its parameters are those that training has, or looks back at."""
    if live and training is not None and 0 <= training.shown.branch < len(training.branches):
        at = training.shown
        moment = _tr("step {0} of {1}").format(at.step, training.branches[at.branch].name)
    else:
        moment = str(subject.origin.get("moment", ""))
    return f"{subject.name} · {moment}" if moment else subject.name


def names(readings: Sequence[Reading], training: Training | None, live: bool) -> tuple[str, ...]:
    """What each is called; live: whether the first has training's parameters."""
    return tuple(called(one.subject, training, live and not at) for at, one in enumerate(readings))


def agreement(readings: Sequence[Reading]) -> str:
    """Whether two networks say the same of the drawing; "" for one, or where one of them cannot say."""
    if len(readings) != 2:
        return ""
    first, second = (reading.verdict for reading in readings)
    if readings[0].subject.network.classes != readings[1].subject.network.classes:
        return _tr("They tell other things apart.")
    if first == second:
        return _tr("Neither is sure.") if first == UNSURE else _tr("Both say {0}.").format(first)
    said = [_tr("is unsure") if each == UNSURE else _tr("says {0}").format(each) for each in (first, second)]
    return _tr("They disagree: A {0}, B {1}.").format(*said)


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

"""Onward: where a value goes, in one sentence: through a ReLU, a pool, and to whom. No widget."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QCoreApplication

from engine.explain.value_arithmetic import arithmetic, place_in
from engine.nn.inference import Reading
from engine.nn.layers.value_formulas import Largest
from xo_gui.state.selection import Cell
from xo_gui.state.visible_values import MOST_ONWARD
from xo_gui.views.numerals import fixed
from xo_gui.views.stages import layer_names, number


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


def _tr(text: str) -> str:
    return QCoreApplication.translate("Inspector", text)

"""Stage scene: how one value comes about, as data: what its layer reads, its arithmetic, the map that it fills."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from engine.backends import HostArray
from engine.nn import Prediction
from engine.nn.layers import OUTSIDE, ValueFormula, WeightedSum
from xo_gui.app import translate
from xo_gui.state import CellRef
from xo_gui.views.inspector.sheet_blocks import SheetBlock, SideBySide
from xo_gui.views.inspector.value_text import ValueContext, largest_map, value_blocks
from xo_gui.views.network import layer_names, rounded_limit

# Rows of a list: more would be too small to be read from afar.
STAGE_ROWS = 6


@dataclass(frozen=True, eq=False)
class StageMap:
    """A map (H, W), or a list (n,), of one layer.

    first: its first cell. names: of the values of a short list, "" for none.
    window: the rows and columns that are read, without the padding; of a list the range in the second.
    current: the index, in reading order, of the value that is explained.
    filled: how many values are there yet; None for all.
    """

    title: str
    values: HostArray
    first: CellRef
    colour_scale: Literal["picture", "value"]
    limit: float
    names: tuple[str, ...] = ()
    window: tuple[range, range] | None = None
    current: int | None = None
    filled: int | None = None

    def cell(self, index: int) -> CellRef:
        """The cell of the value `index` in reading order."""
        if self.values.ndim == 1:
            return replace(self.first, channel=index)
        row, column = divmod(index, self.values.shape[1])
        return replace(self.first, row=row, column=column)


@dataclass(frozen=True, eq=False)
class StageScene:
    """What the stage shows of one value.

    blocks: the revealed part of the arithmetic. phases: in how many steps it is revealed.
    reads, fills: the map of the layer below, None for a pixel of the input, and the value's own map.
    """

    blocks: tuple[SheetBlock, ...]
    phases: int
    reads: StageMap | None
    fills: StageMap


def stage_scene(context: ValueContext, phase: int | None = None, filling: bool = False) -> StageScene:
    """The scene of a value. phase: how much is revealed, from 0, None for all. filling: whether the map is shown
    only up to the value."""
    revealed = _phases(value_blocks(context))
    shown = len(revealed) - 1 if phase is None else min(phase, len(revealed) - 1)
    is_whole = shown == len(revealed) - 1
    cell, prediction = context.cell, context.prediction
    fills = _map(prediction, replace(cell, row=0, column=0))
    index = cell.channel if fills.values.ndim == 1 else cell.row * fills.values.shape[1] + cell.column
    fills = replace(fills, current=index, filled=index + is_whole if filling else None)
    formula = context.formula
    reads = None if formula is None else _reads(context, formula)
    return StageScene(tuple(revealed[shown]), len(revealed), reads, fills)


def _phases(blocks: list[SheetBlock]) -> list[list[SheetBlock]]:
    """The blocks as they are revealed: one after another, and the lines beside a grid after the grid."""
    phases: list[list[SheetBlock]] = []
    for at, block in enumerate(blocks):
        if isinstance(block, SideBySide):
            if isinstance(block.right, tuple) and block.right:
                phases.append([*blocks[:at], SideBySide(block.left)])
            phases.append(blocks[: at + 1])
    if phases:
        phases[-1] = blocks
    return phases or [blocks]


def _map(prediction: Prediction, cell: CellRef) -> StageMap:
    """The map of a cell, or the list that it stands in."""
    network, layer = prediction.model.network, cell.layer
    name = layer_names(network)[layer]
    is_list = len(prediction.activations.shapes[layer]) == 1
    if is_list:
        values, cell, title = prediction.activations[layer], replace(cell, channel=0), name
    else:
        values = prediction.activations.channels(layer, range(cell.channel, cell.channel + 1))[0]
        title = translate("Stage", "{0} · map {1}").format(name, cell.channel + 1) if layer else name
    finite = np.abs(values[np.isfinite(values)])
    limit = 1.0 if layer == 0 else rounded_limit(float(finite.max(initial=0.0)))
    names = network.classes if layer == len(network.layers) else ()
    return StageMap(title, values, cell, "value" if layer else "picture", limit, names)


def _reads(context: ValueContext, formula: ValueFormula) -> StageMap | None:
    """What the layer reads: the map with the largest contribution, with its window."""
    prediction, cell = context.prediction, context.cell
    layer, shape = prediction.model.network.layers[cell.layer - 1], prediction.activations.shapes[cell.layer - 1]
    known = formula.cells[formula.cells != OUTSIDE]
    if isinstance(formula, WeightedSum) and formula.cells.ndim == 3:
        channel = largest_map(context, formula)
    else:
        channel = int(np.unravel_index(int(known.flat[0]), shape)[0]) if known.size else 0
    below = _map(prediction, CellRef(cell.layer - 1, channel, model_index=cell.model_index))
    if len(shape) == 1:
        place = int(known.flat[0]) if known.size == 1 else None
        return below if place is None else replace(below, window=(range(1), range(place, place + 1)))
    if known.size == 1:
        _, row, column = (int(part) for part in np.unravel_index(int(known.flat[0]), shape))
        return replace(below, window=(range(row, row + 1), range(column, column + 1)))
    one = range(cell.row, cell.row + 1), range(cell.column, cell.column + 1)
    return replace(below, window=layer.receptive_range(shape, *one))

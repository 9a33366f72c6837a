"""Value text: the place, value and receptive field of a value or weight as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.explain import has_value_formula, receptive_field, receptive_runs
from engine.nn import Network, Prediction
from xo_gui.app import translate
from xo_gui.state import CellRef
from xo_gui.views.network.layer_labels import layer_names
from xo_gui.views.network.model_names import MODEL_LETTERS
from xo_gui.views.network.trace import has_cell, unflattened
from xo_gui.widgets import NO_VALUE, fixed_text, integer_text, range_text, vote_text

# Of more runs of rows or columns than this only the first and the last are listed.
_MAX_RUNS = 4


@dataclass(frozen=True)
class CellSummary:
    """place: "Features 1 · map 3 · row 12, column 21". value: "+0.24". detail: the receptive field, or ""."""

    place: str
    value: str
    detail: str = ""


def explained_cell(predictions: Sequence[Prediction], cell: CellRef | None) -> tuple[CellRef, Prediction] | None:
    """The cell with its prediction; None for no cell, or until the engine has sent what its formula needs."""
    if cell is None or cell.model_index >= len(predictions):
        return None
    prediction = predictions[cell.model_index]
    known = has_cell(prediction.model.network, cell) and has_value_formula(prediction, cell.layer, cell.channel)
    return (cell, prediction) if known else None


def lettered_place(predictions: Sequence[Prediction], cell: CellRef) -> str:
    """The place of a cell, with the letter of its network if there are two."""
    place = cell_summary(predictions[cell.model_index], cell).place
    return place if len(predictions) == 1 else f"{MODEL_LETTERS[cell.model_index]} · {place}"


def cell_summary(prediction: Prediction, cell: CellRef) -> CellSummary:
    """The summary of a value, with a dash until the engine has sent it. Raises IndexError for a missing cell."""
    network = prediction.model.network
    maps = range(cell.channel, cell.channel + 1)
    if not prediction.activations.has(cell.layer, maps):
        where = _map_place if len(network.shapes[cell.layer]) == 3 else _list_place
        return CellSummary(where(network, cell), NO_VALUE)
    (values,) = prediction.activations.channels(cell.layer, maps)
    if values.ndim == 2:
        value = float(values[cell.row, cell.column])
        return CellSummary(_map_place(network, cell), fixed_text(value), _receptive_field(network, cell))
    value = float(values)
    if cell.layer == len(network.layers):
        return _vote(prediction, cell, value)
    return CellSummary(_list_place(network, cell), fixed_text(value), _receptive_field(network, cell))


def weight_summary(prediction: Prediction, layer: int, place: tuple[int, int, int, int]) -> CellSummary:
    """The summary of the weight (feature, channel, row, column) of `layer`."""
    network = prediction.model.network
    weight = float(prediction.model.parameters[f"{network.names[layer]}.weight"][place])
    feature, channel, row, column = (part + 1 for part in place)
    text = translate("NetworkView", "{0} · feature {1}").format(layer_names(network)[layer], feature)
    if network.shapes[layer - 1][0] > 1:
        text += translate("NetworkView", " on map {0}").format(channel)
    return CellSummary(
        text + translate("NetworkView", " · row {0}, column {1}").format(row, column),
        fixed_text(weight),
        translate("NetworkView", "a weight"),
    )


def place_text(row: int, column: int) -> str:
    """A position counted from 1: "row 12, column 21"."""
    return translate("NetworkView", "row {0}, column {1}").format(row + 1, column + 1)


def _vote(prediction: Prediction, cell: CellRef, score: float) -> CellSummary:
    network = prediction.model.network
    place = translate("NetworkView", "Votes · {0}").format(network.classes[cell.channel])
    if network.vote == "score":
        return CellSummary(place, fixed_text(score), translate("NetworkView", "the mean of its strong values"))
    vote = translate("NetworkView", "a score; vote {0} (softmax)").format(
        vote_text(network, float(prediction.votes[cell.channel]))
    )
    return CellSummary(place, fixed_text(score), vote)


def _list_place(network: Network, cell: CellRef) -> str:
    return translate("NetworkView", "{0} · value {1}").format(
        layer_names(network)[cell.layer], integer_text(cell.channel + 1)
    )


def _map_place(network: Network, cell: CellRef) -> str:
    parts = [layer_names(network)[cell.layer], place_text(cell.row, cell.column)]
    if cell.layer or network.input_shape[0] > 1:
        parts.insert(1, translate("NetworkView", "map {0}").format(cell.channel + 1))
    return " · ".join(parts)


def _receptive_field(network: Network, cell: CellRef) -> str:
    """The part of the drawing that a value depends on."""
    if cell.layer == 0:
        return ""
    inner = unflattened(network, cell)
    window = receptive_field(network, inner.layer, inner.row, inner.column)[0]
    if window is None:
        return translate("NetworkView", "receptive field: the whole drawing")
    if not (window[0] and window[1]):
        return translate("NetworkView", "receptive field: only padding")
    row, column = (
        (translate("NetworkView", "row {0}"), translate("NetworkView", "rows {0}")),
        (translate("NetworkView", "column {0}"), translate("NetworkView", "columns {0}")),
    )
    rows, columns = row[len(window[0]) > 1], column[len(window[1]) > 1]
    runs = receptive_runs(network, inner.layer, inner.row, inner.column) or ((window[0],), (window[1],))
    text = f"{rows.format(_spans(runs[0]))}, {columns.format(_spans(runs[1]))}"
    return translate("NetworkView", "receptive field: {0}").format(text)


def _spans(runs: tuple[range, ...]) -> str:
    """Runs of rows or columns: "3–7", "1–2, 4–5"; of many the first and the last."""
    listed = runs if len(runs) <= _MAX_RUNS else (runs[0], runs[-1])
    return (", " if listed is runs else " … ").join(range_text(run) for run in listed)

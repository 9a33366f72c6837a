"""Tables behind a vote: the contribution of every value to the class scores, and one score split at every layer."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QCoreApplication

from engine.backends import HostArray
from engine.explain import Result, has_value_formula, value_formula
from engine.nn import Prediction
from engine.nn.layers import WeightedSum
from xo_gui.state import CellRef
from xo_gui.views.inspector.sheet_blocks import Heading, NumberTable, SheetBlock, TableRow
from xo_gui.views.inspector.value_text import MAX_ROWS, ValueContext, input_name
from xo_gui.views.network import layer_names, unflattened
from xo_gui.widgets import fixed_text, integer_text

# Columns beside the inspected class, for the other classes with the most votes.
MAX_OTHER_CLASSES = 1


def contribution_table(prediction: Prediction, cell: CellRef, truncate: bool) -> list[SheetBlock]:
    """The contribution of each input value of the last layer to the score `cell` and to others, the largest first.

    Each column adds up to its score. Empty where scores are not weighted sums.
    """
    network, top = prediction.model.network, len(prediction.model.network.layers)
    order = np.argsort(-prediction.votes, kind="stable").tolist()
    classes = sorted([cell.channel, *[at for at in order if at != cell.channel][:MAX_OTHER_CLASSES]])
    if len(classes) < 2 or not has_value_formula(prediction, top, cell.channel):
        return []
    formulas = [value_formula(prediction, top, (at,)) for at in classes]
    sums = [each for each in formulas if isinstance(each, WeightedSum) and each.cells.ndim == 1]
    if len(sums) < len(classes):
        return []
    contributions = np.zeros((len(classes), int(np.prod(network.shapes[top - 1]))))
    for line, each in zip(contributions, sums, strict=True):
        np.add.at(line, each.cells, each.contributions)
    largest = np.argsort(-np.abs(contributions).max(axis=0), kind="stable")[:MAX_ROWS]
    listed_values = largest[contributions[:, largest].any(axis=0)]
    context = ValueContext(prediction, cell, truncate=truncate)
    rows = []
    for at in listed_values.tolist():
        (below,) = context.input_cells(np.array([at]))
        assert below is not None
        inner = unflattened(network, below)
        rows.append(TableRow(input_name(inner, below), _texts(contributions[:, at], truncate), inner))
    rest = contributions.shape[1] - len(listed_values)
    if rest:
        others = contributions.sum(axis=1) - contributions[:, listed_values].sum(axis=1)
        rows.append(TableRow(_tr("{0} others").format(integer_text(rest)), _texts(others, truncate)))
    biases = np.array([each.bias or 0.0 for each in sums])
    if biases.any():
        rows.append(TableRow(_tr("bias"), _texts(biases, truncate)))
    scores = prediction.activations[-1].astype(np.float64)[classes]
    rows.append(TableRow(_tr("score"), _texts(scores, truncate), is_total=True))
    heads = tuple(network.classes[at] for at in classes)
    return [Heading(_tr("contribution of every value to each class")), NumberTable(heads, tuple(rows))]


def layer_table(prediction: Prediction, cell: CellRef, result: Result, truncate: bool) -> list[SheetBlock]:
    """The score `cell` split at every layer into what its values and what the biases above it contribute."""
    network = prediction.model.network
    rows = [
        TableRow(name, (fixed_text(from_values, truncate), fixed_text(from_biases, truncate)))
        for at, (name, (from_values, from_biases)) in enumerate(
            zip(layer_names(network), result.layer_totals, strict=False)
        )
        if not at or not network.layers[at - 1].reshapes
    ]
    score = fixed_text(float(prediction.activations[-1][cell.channel]), truncate)
    rows.append(TableRow(_tr("each line adds up to"), ("", score), is_total=True))
    heading = Heading(_tr("the same score, split at each layer"))
    return [heading, NumberTable((_tr("from values"), _tr("from biases")), tuple(rows))]


def _texts(values: HostArray, truncate: bool) -> tuple[str, ...]:
    return tuple(fixed_text(float(value), truncate) for value in values)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Inspector", text)

"""Tables behind a vote: the contribution of every value to the class scores, and one score split at every layer."""

from __future__ import annotations

import numpy as np

from engine.backends import HostArray
from engine.explain import Explanation, has_value_formula, value_formula
from engine.nn import Prediction
from engine.nn.layers import WeightedSum
from xo_gui.app import translate
from xo_gui.state import CellRef
from xo_gui.views.inspector.sheet_blocks import Heading, NumberTable, SheetBlock, TableRow
from xo_gui.views.inspector.value_text import MAX_ROWS, ValueContext, input_name
from xo_gui.views.network import layer_names, unflattened
from xo_gui.widgets import integer_text

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
    rows: list[tuple[str, HostArray, CellRef | None]] = []
    for at in listed_values.tolist():
        (below,) = context.input_cells(np.array([at]))
        assert below is not None
        inner = unflattened(network, below)
        rows.append((input_name(inner, below), contributions[:, at], inner))
    rest = contributions.shape[1] - len(listed_values)
    if rest:
        others = contributions.sum(axis=1) - contributions[:, listed_values].sum(axis=1)
        rows.append((translate("Inspector", "{0} others").format(integer_text(rest)), others, None))
    biases = np.array([each.bias or 0.0 for each in sums])
    if biases.any():
        rows.append((translate("Inspector", "bias"), biases, None))
    scores = prediction.activations[-1].astype(np.float64)[classes].tolist()
    totals = [context.number(score) for score in scores]
    shown = [
        context.operands(column.tolist(), np.sum, total)
        for column, total in zip(np.array([numbers for _, numbers, _ in rows]).T, totals, strict=True)
    ]
    texts = zip(*(column.texts for column in shown), strict=True)
    lines = [TableRow(name, numbers, inner) for (name, _, inner), numbers in zip(rows, texts, strict=True)]
    results = tuple(column.result(total) for column, total in zip(shown, totals, strict=True))
    heads = tuple(network.classes[at] for at in classes)
    table = NumberTable(heads, (*lines, TableRow(translate("Inspector", "score"), results, is_total=True)))
    return [Heading(translate("Inspector", "contribution of every value to each class")), table]


def layer_table(prediction: Prediction, cell: CellRef, result: Explanation, truncate: bool) -> list[SheetBlock]:
    """The score `cell` split at every layer into what its values and what the biases above it contribute."""
    network = prediction.model.network
    named = zip(layer_names(network), result.layer_totals, strict=False)
    totals = [each for at, each in enumerate(named) if not at or not network.layers[at - 1].traits.reshapes]
    context = ValueContext(prediction, cell, truncate=truncate)
    score = context.number(float(prediction.activations[-1][cell.channel]))
    shown = context.operands(
        [part for _, parts in totals for part in parts],
        lambda numbers: numbers[::2] + numbers[1::2],
        [score] * len(totals),
    )
    pairs = zip(shown.texts[::2], shown.texts[1::2], strict=True)
    rows = [TableRow(name, pair) for (name, _), pair in zip(totals, pairs, strict=True)]
    rows.append(TableRow(translate("Inspector", "each line adds up to"), ("", shown.result(score)), is_total=True))
    heading = Heading(translate("Inspector", "the same score, split at each layer"))
    return [
        heading,
        NumberTable((translate("Inspector", "from values"), translate("Inspector", "from biases")), tuple(rows)),
    ]

"""Tables behind a vote: the contribution of every value to the class scores, and one score split at every layer."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QCoreApplication

from engine.backends.ops import HostArray
from engine.explain.queries import Answer
from engine.explain.value_arithmetic import arithmetic, is_known
from engine.nn.inference import Reading
from engine.nn.layers.value_formulas import WeightedSum
from xo_gui.state.selection import Cell
from xo_gui.views.inspector.sheet_blocks import Block, Heading, Row, Table
from xo_gui.views.inspector.value_text import MOST_RANKS, Spelled, listed
from xo_gui.views.network.layer_labels import layer_names
from xo_gui.views.network.trace import in_maps
from xo_gui.widgets.number_text import fixed, number

# Columns beside the inspected class, for the other classes with the most votes.
MAX_OTHER_CLASSES = 1


def given_to_classes(prediction: Reading, cell: Cell, truncate: bool) -> list[Block]:
    """The contribution of each input value of the last layer to the score `cell` and to others, the largest first.

    Each column adds up to its score. Empty where scores are not weighted sums.
    """
    network, top = prediction.subject.network, len(prediction.subject.network.layers)
    order = np.argsort(-prediction.votes, kind="stable").tolist()
    classes = sorted([cell.channel, *[at for at in order if at != cell.channel][:MAX_OTHER_CLASSES]])
    if len(classes) < 2 or not is_known(prediction, top, cell.channel):
        return []
    formulas = [arithmetic(prediction, top, (at,)) for at in classes]
    sums = [each for each in formulas if isinstance(each, WeightedSum) and each.cells.ndim == 1]
    if len(sums) < len(classes):
        return []
    contributions = np.zeros((len(classes), int(np.prod(network.shapes[top - 1]))))
    for line, each in zip(contributions, sums, strict=True):
        np.add.at(line, each.cells, each.shares)
    largest = np.argsort(-np.abs(contributions).max(axis=0), kind="stable")[:MOST_RANKS]
    listed_values = largest[contributions[:, largest].any(axis=0)]
    context = Spelled(prediction, cell, cut=truncate)
    rows = []
    for at in listed_values.tolist():
        (below,) = context.below(np.array([at]))
        assert below is not None
        inner = in_maps(network, below)
        rows.append(Row(listed(inner, below), _texts(contributions[:, at], truncate), inner))
    rest = contributions.shape[1] - len(listed_values)
    if rest:
        others = contributions.sum(axis=1) - contributions[:, listed_values].sum(axis=1)
        rows.append(Row(_tr("{0} others").format(number(rest)), _texts(others, truncate)))
    biases = np.array([each.bias or 0.0 for each in sums])
    if biases.any():
        rows.append(Row(_tr("bias"), _texts(biases, truncate)))
    scores = prediction.outputs[-1].astype(np.float64)[classes]
    rows.append(Row(_tr("score"), _texts(scores, truncate), total=True))
    heads = tuple(network.classes[at] for at in classes)
    return [Heading(_tr("contribution of every value to each class")), Table(heads, tuple(rows))]


def split_up(prediction: Reading, cell: Cell, result: Answer, truncate: bool) -> list[Block]:
    """The score `cell` split at every layer into what its values and what the biases above it contribute."""
    network = prediction.subject.network
    rows = [
        Row(name, (fixed(from_values, truncate), fixed(from_biases, truncate)))
        for at, (name, (from_values, from_biases)) in enumerate(
            zip(layer_names(network), result.traced, strict=False)
        )
        if not at or not network.layers[at - 1].reshapes
    ]
    score = fixed(float(prediction.outputs[-1][cell.channel]), truncate)
    rows.append(Row(_tr("each line adds up to"), ("", score), total=True))
    heading = Heading(_tr("the same score, split at each layer"))
    return [heading, Table((_tr("from values"), _tr("from biases")), tuple(rows))]


def _texts(values: HostArray, truncate: bool) -> tuple[str, ...]:
    return tuple(fixed(float(value), truncate) for value in values)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Inspector", text)

"""Votes traced: what every value gives to every class's score, and one score split up at every layer. No widget."""

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

# Beside the class looked at, so many others have room: those with the most votes.
MOST_OTHERS = 1


def given_to_classes(reading: Reading, cell: Cell, cut: bool) -> list[Block]:
    """What each value below gives to the score `cell` and to others, the largest first; each column adds up to its
    score. Nothing where the scores are no sums of weighed values."""
    network, top = reading.subject.network, len(reading.subject.network.layers)
    order = np.argsort(-reading.votes, kind="stable").tolist()
    classes = sorted([cell.channel, *[at for at in order if at != cell.channel][:MOST_OTHERS]])
    if len(classes) < 2 or not is_known(reading, top, cell.channel):
        return []
    made = [arithmetic(reading, top, (at,)) for at in classes]
    sums = [each for each in made if isinstance(each, WeightedSum) and each.cells.ndim == 1]
    if len(sums) < len(classes):
        return []
    given = np.zeros((len(classes), int(np.prod(network.shapes[top - 1]))))
    for line, each in zip(given, sums, strict=True):
        np.add.at(line, each.cells, each.shares)
    largest = np.argsort(-np.abs(given).max(axis=0), kind="stable")[:MOST_RANKS]
    told = largest[given[:, largest].any(axis=0)]
    spelled = Spelled(reading, cell, cut=cut)
    rows = []
    for at in told.tolist():
        (below,) = spelled.below(np.array([at]))
        assert below is not None
        inner = in_maps(network, below)
        rows.append(Row(listed(inner, below), _texts(given[:, at], cut), inner))
    rest = given.shape[1] - len(told)
    if rest:
        others = given.sum(axis=1) - given[:, told].sum(axis=1)
        rows.append(Row(_tr("{0} others").format(number(rest)), _texts(others, cut)))
    biases = np.array([each.bias or 0.0 for each in sums])
    if biases.any():
        rows.append(Row(_tr("bias"), _texts(biases, cut)))
    scores = reading.outputs[-1].astype(np.float64)[classes]
    rows.append(Row(_tr("score"), _texts(scores, cut), total=True))
    heads = tuple(network.classes[at] for at in classes)
    return [Heading(_tr("what every value gives to each class")), Table(heads, tuple(rows))]


def split_up(reading: Reading, cell: Cell, answer: Answer, cut: bool) -> list[Block]:
    """The score `cell`, at every layer the same: what its values bring and what is added above it."""
    network = reading.subject.network
    rows = [
        Row(name, (fixed(brought, cut), fixed(added, cut)))
        for at, (name, (brought, added)) in enumerate(zip(layer_names(network), answer.traced, strict=False))
        if not at or not network.layers[at - 1].reshapes
    ]
    score = fixed(float(reading.outputs[-1][cell.channel]), cut)
    rows.append(Row(_tr("together, each line"), ("", score), total=True))
    heading = Heading(_tr("the score, told by the values of each layer"))
    return [heading, Table((_tr("values"), _tr("biases")), tuple(rows))]


def _texts(values: HostArray, cut: bool) -> tuple[str, ...]:
    return tuple(fixed(float(value), cut) for value in values)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Inspector", text)

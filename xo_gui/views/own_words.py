"""Own words: how many drawings a person has kept, in words, and why one is not. It keeps none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from engine.data.labelled_drawings import NEITHER, OwnDrawing
from engine.data.xo.generator import CLASSES
from engine.documents.document import Document

LABELS = (*CLASSES, NEITHER)


def tr(text: str) -> str:
    """`text` in the user's language."""
    return QCoreApplication.translate("OwnWords", text)


def learns(document: Document) -> bool:
    """Whether the network that reads could learn from these drawings: whether it tells X from O."""
    return document.subjects[0].network.classes == CLASSES


def tally(own: Sequence[OwnDrawing]) -> str:
    """How many there are of each: "3 X, 2 O, 1 neither"."""
    counts = Counter(each.label for each in own)
    return listed([counts[label] for label in LABELS])


def listed(counts: Sequence[int]) -> str:
    """Numbers of X, of O and of neither: "6 800 X, 6 800 O, 2 400 neither"."""
    written = (f"{count:,}".replace(",", " ") for count in counts)
    return ", ".join(tr("{0} {1}").format(count, label) for count, label in zip(written, LABELS, strict=True))


def blank_words(label: str) -> str:
    """Why a blank canvas is not kept as an X or an O."""
    return tr("A blank canvas is no {0}: draw one first, or save the blank as neither (N).").format(label)

"""Robustness view: how well drawings are read when one thing about them is not as usual, by the network and by
whole-image comparison. It reads nothing."""

from __future__ import annotations

from collections import Counter
from time import perf_counter

import numpy as np
from PySide6.QtCore import QSize
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.data.xo.variations import measured
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.explain.robustness import Robustness, tries
from engine.runtime.protocol import Snapshot
from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.views.atlas import HostArray
from xo_gui.views.multiples import Multiples, Point
from xo_gui.views.robustness_words import point_words, standing_words
from xo_gui.views.view import View

_REDRAW_SECONDS = 0.15


class RobustnessView(View):
    """Five plots and a line of words. It is tried only while the panel is seen."""

    title = "How well"
    calm = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._found: Robustness | None = None
        self._seen = False
        self._drawn_at = 0.0
        self._measured: tuple[Drawing, HostArray] | None = None
        self._put_so_often: Counter[Point] = Counter()
        self.plots, self.words = Multiples(self), QLabel(self)
        self.plots.pointed.connect(self._say)
        self.plots.picked.connect(self._put)
        self.plots.setToolTip(
            self.tr("Click to put a drawing like this on the canvas, a misread one if there is one")
        )
        self.words.setFont(font(SMALL_PX))
        self.words.setWordWrap(True)
        self.words.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.plots, 1)
        column.addWidget(self.words)
        self.setAccessibleName(self.tr("How well varied drawings are read"))
        self._say()

    def sizeHint(self) -> QSize:
        """Five plots side by side."""
        return QSize(460, 190)

    def set_seen(self, seen: bool) -> None:
        """Ask for the numbers only while they are looked at."""
        if seen != self._seen:
            self._seen = seen
            self.watched.emit("robustness", seen)

    def show_document(self, document: Document) -> None:
        """What a drawing that is picked changes."""
        self._document = document

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """The curves as far as they are known, and where the drawing on the canvas lies."""
        if not self._seen:
            return
        found = snapshot.robustness
        if found is not self._found and (_stands(found) or perf_counter() - self._drawn_at > _REDRAW_SECONDS):
            self._found, self._drawn_at = found, perf_counter()
            self.plots.show_robustness(found)
            self._say()
        if snapshot.settled and snapshot.readings:
            self._measure(snapshot.drawing, snapshot.readings[0].outputs[0][0])

    def _measure(self, drawing: Drawing, picture: HostArray) -> None:
        """Mark where the drawing lies, if it or its picture is another; a stroke under way is not measured."""
        before = self._measured
        if before is None or before[0] is not drawing or not np.array_equal(before[1], picture):
            self._measured = drawing, picture
            self.plots.show_marks(measured(drawing, picture))

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.plots.set_theme(theme)

    def _say(self) -> None:
        """What the point under the mouse says, or how much is known."""
        found, point = self._found, self.plots.point
        if found is None:
            words = self.tr("Drawings that are shifted, sized, turned, thickened and noisy are read here.")
            if self._document is not None and not tries(self._document.subjects[0].network):
                words = self.tr(
                    "Only a network that tells X from O can be tried with varied drawings: choose one above."
                )
        else:
            words = standing_words(found) if point is None else point_words(found, *point)
        if words != self.words.text():
            self.words.setText(words)
            self.plots.setAccessibleDescription(words)

    def _put(self, point: Point) -> None:
        """Put a drawing of this value on the canvas: first one that was misread, then others in turn."""
        found, document = self._found, self._document
        if found is None or document is None:
            return
        misread = [int(first[point]) for first in (found.missed, found.fooled) if first[point] >= 0]
        turn = self._put_so_often[point]
        self._put_so_often[point] += 1
        number = (misread[0] if misread else 0) + turn
        drawing = found.drawing(*point, number)
        self.edited.emit(document.with_drawing(drawing), self.tr("Varied drawing"), "")


def _stands(found: Robustness | None) -> bool:
    """Whether there will be no more of it soon."""
    return found is None or found.done >= 1

"""Whole-image view: the naive way that the article sets out from, beside the network's. The drawing is laid over
an X and an O; pixels that agree are green, those that do not violet. It compares nothing itself."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.drawings.raster import ink
from engine.explain.template_matching import Comparison
from engine.nn.inference import BLANK_INK, UNSURE, Reading
from engine.runtime.protocol import Snapshot
from xo_gui.app.theme import DARK, Theme
from xo_gui.views.overlays import Overlays
from xo_gui.views.quiet_words import QuietWords
from xo_gui.views.view import View


class WholeImageView(View):
    """An exemplar of each class and the drawing over it, the score of each, and what this way says beside what the
    network says. A click on an exemplar puts it on the canvas, to be moved by the sliders."""

    title = "Whole image"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._document: Document | None = None
        self._shown: Comparison | None = None
        self.overlays, self.sentence = Overlays(self), QuietWords("", self)
        self.overlays.picked.connect(self._put)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.overlays, 1)
        column.addWidget(self.sentence)
        column.addStretch()
        self.setAccessibleName(self.tr("Whole-image comparison"))

    def sizeHint(self) -> QSize:
        """Room for four small pictures and two lines."""
        return QSize(240, 112)

    def show_document(self, document: Document) -> None:
        """What an exemplar that is picked changes."""
        self._document = document

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Follow the stroke and the sliders."""
        self._shown = snapshot.comparison
        self.overlays.show_comparison(snapshot.comparison)
        if snapshot.comparison is None:
            words = self.tr("Only X and O are compared with whole images: choose a network that tells these.")
        else:
            words = self._sentence(snapshot.comparison, snapshot.readings[0])
        if words != self.sentence.text():
            self.sentence.setText(words)

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.overlays.set_theme(theme)

    def _sentence(self, comparison: Comparison, reading: Reading) -> str:
        if ink(reading.outputs[0]) < BLANK_INK:
            return self.tr("Draw, then move the drawing with the sliders: the network follows it, this does not.")
        naive, network = comparison.verdict, reading.verdict
        if naive == UNSURE:
            return self.tr("Both pictures are equally alike. The network: {0}.").format(network)
        if naive == network:
            return self.tr("Pixel by pixel it is an {0}, and so says the network.").format(naive)
        return self.tr("Pixel by pixel it is an {0}; the network says {1}.").format(naive, network)

    def _put(self, index: int) -> None:
        """Put an exemplar on the canvas."""
        if self._document is not None and self._shown is not None:
            name, picture = self._shown.exemplars.classes[index], self._shown.exemplars.pictures[index]
            drawing = Drawing(image=picture)
            self.edited.emit(self._document.with_drawing(drawing), self.tr("Exemplar {0}").format(name), "")

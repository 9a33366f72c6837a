"""Whole-image view: the naive way that the article sets out from, beside the network's. The drawing is laid over
an X and an O; pixels that agree are green, those that do not violet. It compares nothing itself."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QToolTip, QVBoxLayout, QWidget

from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.drawings.raster import ink
from engine.explain.template_matching import Comparison, Exemplars
from engine.nn.inference import BLANK_INK, UNSURE, Reading
from engine.runtime.protocol import Snapshot
from xo_gui.app.theme import DARK, SMALL_PX, Theme, font
from xo_gui.views.view import View
from xo_gui.widgets.buttons import KeyedWidget, QuietWords
from xo_gui.widgets.map_images import maps_atlas, paint_class, picture_atlas
from xo_gui.widgets.number_text import signed

_LEAST, _MOST, _INNER, _OUTER, _WORDS = 34.0, 120.0, 4.0, 14.0, 18.0
_LEVEL = np.ones(1, np.float32)


class Overlays(KeyedWidget):
    """A pair of pictures for each class, its score below. picked(index): a class's exemplar was clicked."""

    picked = Signal(int)

    def __init__(self, parent: View) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._comparison: Comparison | None = None
        self._exemplars: Exemplars | None = None
        self._images: list[QImage] = []
        self._at = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("The drawing over an X and over an O"))

    def sizeHint(self) -> QSize:
        """Two pairs in the width of the left side."""
        return QSize(240, 74)

    def minimumSizeHint(self) -> QSize:
        """The smallest pictures in which something can be made out."""
        return QSize(round(4 * _LEAST + 2 * _INNER + _OUTER), round(_LEAST + _WORDS))

    def show_comparison(self, comparison: Comparison | None) -> None:
        """Show this one; None: there is nothing to compare."""
        self._comparison = comparison
        if comparison is None or comparison.exemplars is not self._exemplars:
            self._exemplars = None if comparison is None else comparison.exemplars
            self._images = []
        told = "" if comparison is None else self._words(comparison)
        if told != self.accessibleDescription():
            self.setAccessibleDescription(told)
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self._images = []
        self.update()

    def boxes(self, index: int) -> tuple[QRectF, QRectF]:
        """Where a class's exemplar stands, and beside it the products."""
        side = float(int(min(self._widest, max(self.height() - _WORDS, _LEAST))))
        left = index * (2 * side + _INNER + _OUTER)
        return QRectF(left, 0, side, side), QRectF(left + side + _INNER, 0, side, side)

    @property
    def _widest(self) -> float:
        """The side of a picture for which the width has room."""
        return min(max((self.width() - 2 * _INNER - _OUTER) / 4, _LEAST), _MOST)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """No more height than the width asks for, so that the words below stay near."""
        self.setMaximumHeight(round(self._widest + _WORDS))
        super().resizeEvent(event)

    def _words(self, comparison: Comparison) -> str:
        said = []
        for index, name in enumerate(comparison.exemplars.classes):
            said.append(f"{name}: {self._alike(comparison, index)}, {signed(comparison.scores[index])}")
        return "; ".join(said)

    def _alike(self, comparison: Comparison, index: int) -> str:
        products = comparison.products[index]
        return self.tr("{0} of {1} pixels alike").format(int((products > 0).sum()), products.size)

    # -- what is painted ---------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Both pairs."""
        comparison, theme = self._comparison, self._theme
        if comparison is None:
            return
        if not self._images:
            self._images = [picture_atlas(one[None], theme) for one in comparison.exemplars.pictures]
        painter = QPainter(self)
        painter.setFont(font(SMALL_PX))
        for index, name in enumerate(comparison.exemplars.classes):
            exemplar, over = self.boxes(index)
            painter.drawImage(exemplar, self._images[index])
            painter.drawImage(over, maps_atlas(comparison.products[index][None], _LEVEL, 1, theme))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            for box in (exemplar, over):
                focused = self.hasFocus() and index == self._at and box is exemplar
                painter.setPen(QPen(QColor(theme.o if focused else theme.line), 1))
                painter.drawRect(box.adjusted(0, 0, -1, -1))
            self._paint_score(painter, comparison, index, name)

    def _paint_score(self, painter: QPainter, comparison: Comparison, index: int, name: str) -> None:
        exemplar, over = self.boxes(index)
        wins, middle = comparison.verdict == name, exemplar.bottom() + _WORDS / 2 + 1
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_class(painter, self._theme, index, name, QPointF(exemplar.left() + 5, middle), 10)
        painter.setFont(font(SMALL_PX, strong=wins))
        painter.setPen(QColor(self._theme.text if wins else self._theme.quiet))
        place = QRectF(exemplar.left(), middle - _WORDS / 2, over.right() - exemplar.left(), _WORDS)
        right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        painter.drawText(place, right, signed(comparison.scores[index]))

    # -- the person --------------------------------------------------------------------------------------------

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Pick the exemplar under the mouse."""
        for index in range(len(self._classes)):
            if self.boxes(index)[0].contains(event.position()):
                self._at = index
                self.picked.emit(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows choose an exemplar, Return puts it on the canvas."""
        count, key = len(self._classes), Qt.Key(event.key())
        if count and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._at = (self._at + (1 if key == Qt.Key.Key_Right else -1)) % count
            self.update()
        elif count and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.picked.emit(self._at)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """The tooltip gives the numbers of the pixel under the mouse."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.told_at(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def told_at(self, place: QPointF) -> str:
        """What the picture under the mouse says there."""
        comparison = self._comparison
        for index, name in enumerate(self._classes):
            exemplar, over = self.boxes(index)
            if comparison is not None and exemplar.contains(place):
                return self.tr("The {0} that the drawing is compared with; click to put it on the canvas").format(
                    name
                )
            if comparison is not None and over.contains(place):
                return f"{self._pixel(comparison, index, over, place)}\n{self._alike(comparison, index)}"
        return ""

    def _pixel(self, comparison: Comparison, index: int, over: QRectF, place: QPointF) -> str:
        products, side = comparison.products[index], len(comparison.products[index])
        row, column = (
            int((place.y() - over.y()) / over.height() * side),
            int((place.x() - over.x()) / over.width() * side),
        )
        row, column = min(row, side - 1), min(column, side - 1)
        value, other = float(products[row, column]), float(comparison.exemplars.pictures[index, row, column])
        own = comparison.picture[row, column]
        text = self.tr("Row {0}, column {1}: drawing {2} × {3} {4} = {5}")
        name = comparison.exemplars.classes[index]
        return text.format(row + 1, column + 1, signed(float(own)), name, signed(other), signed(value))

    @property
    def _classes(self) -> tuple[str, ...]:
        return () if self._comparison is None else self._comparison.exemplars.classes


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

"""Gallery view: how well the held-out drawings are read: a table of what was read as what, and the drawings
themselves, the most wrong first. It reads nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QToolTip, QWidget

from engine.datasets.examples import Examples
from engine.document import Document
from engine.drawing import Drawing
from engine.evaluation import Judgement
from engine.losses import softmax
from engine.runner import Snapshot
from xo_gui.theme import DARK, SMALL_PX, Theme, font
from xo_gui.views.atlas import HostArray, picture_atlas
from xo_gui.views.confusion_table import ConfusionTable, Counted
from xo_gui.views.view import View

_TILE, _GAP, _WORDS = 44.0, 8.0, 14.0


@dataclass(frozen=True)
class Shown:
    """One drawing of the gallery: its place among the held-out ones, and what stands under it."""

    place: int
    words: str


class GalleryView(View):
    """The table at the left, the drawings at the right; a click on a cell shows those behind it, a click on a
    drawing puts it on the canvas."""

    title = "Hardest"
    calm = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._judgement: Judgement | None = None
        self._held_out: Examples | None = None
        self.table, self.wall = ConfusionTable(self), Wall(self)
        self.table.chosen.connect(self._choose)
        self.wall.picked.connect(self._put)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self.table, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.wall, 1)

    def sizeHint(self) -> QSize:
        """The table and two columns of drawings."""
        return QSize(230, 200)

    def show_document(self, document: Document) -> None:
        """What a drawing that is picked changes."""
        self._document = document

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """How the held-out drawings are read at the moment shown."""
        training = snapshot.training
        judgement = None if training is None else training.judgement
        if judgement is not self._judgement:
            self._judgement = judgement
            self._held_out = None if training is None else training.held_out
            classes = () if self._held_out is None else self._held_out.classes
            self.table.show_counts(None if judgement is None else Counted(classes, judgement.score.confusion))
            self._fill()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.table.set_theme(theme)
        self.wall.set_theme(theme)

    def _choose(self) -> None:
        self._fill()

    def _fill(self) -> None:
        """The drawings of the chosen cell, or the hardest of all."""
        if self._judgement is None or self._held_out is None:
            self.wall.show_drawings(None, (), self.tr("Train, and the drawings it reads worst stand here."))
            return
        votes = softmax(np.nan_to_num(self._judgement.scores, posinf=1e30, neginf=-1e30))
        hardest = hardest_first(votes, self._held_out.labels, self.table.cell)
        classes = self._held_out.classes
        shown = tuple(
            Shown(int(at), self._words(votes[at], int(self._held_out.labels[at]), classes)) for at in hardest
        )
        self.wall.show_drawings(self._held_out, shown, self.tr("None. Every one is read rightly."))

    def _words(self, votes: HostArray, label: int, classes: tuple[str, ...]) -> str:
        top = int(votes.argmax())
        return f"{100 * votes[top]:.0f} % {classes[top]}" + ("" if label >= 0 else " ?")

    def _put(self, place: int) -> None:
        """Put a held-out drawing on the canvas."""
        if self._document is not None and self._held_out is not None:
            drawing = Drawing(image=self._held_out.images[place, 0])
            self.edited.emit(self._document.with_drawing(drawing), self.tr("Held-out drawing"), "")


def hardest_first(votes: HostArray, labels: HostArray, cell: tuple[int, int] | None) -> HostArray:
    """Places of the drawings to show, (n,): those of a cell (true class, or the number of classes for "neither",
    and the class read), the surest first; without a cell, the wrong ones among X and O, the surest first."""
    top, read = votes.max(1), votes.argmax(1)
    if cell is None:
        chosen = (labels >= 0) & (read != labels)
    else:
        actual = np.where(labels < 0, votes.shape[1], labels)
        chosen = (actual == cell[0]) & (read == cell[1])
    places = np.flatnonzero(chosen)
    ordered: HostArray = places[np.argsort(-top[places], kind="stable")]
    return ordered


class Wall(QWidget):
    """Thumbnails with a line of words under each. picked(place): one was clicked."""

    picked = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme, self._words = DARK, ""
        self._examples: Examples | None = None
        self._shown: tuple[Shown, ...] = ()
        self._images: dict[int, QImage] = {}
        self._at = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Drawings read worst"))

    def show_drawings(self, examples: Examples | None, shown: tuple[Shown, ...], words: str) -> None:
        """Show these, or the words where there are none."""
        if examples is not self._examples:
            self._images.clear()
        self._examples, self._shown, self._words, self._at = examples, shown, words, 0
        self.setAccessibleDescription(words if not shown else self.tr("{0} drawings").format(len(shown)))
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self._images.clear()
        self.update()

    def tiles(self) -> list[tuple[QRectF, Shown]]:
        """Where the drawings stand that there is room for."""
        columns = max(1, int((self.width() + _GAP) // (_TILE + _GAP)))
        rows = max(1, int((self.height() + _GAP) // (_TILE + _WORDS + _GAP)))
        places = []
        for at, shown in enumerate(self._shown[: columns * rows]):
            row, column = divmod(at, columns)
            box = QRectF(column * (_TILE + _GAP), row * (_TILE + _WORDS + _GAP), _TILE, _TILE)
            places.append((box, shown))
        return places

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Put the drawing under the mouse on the canvas."""
        shown = self._under(event.position())
        if shown is not None:
            self.picked.emit(shown.place)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows choose, Return puts on the canvas."""
        count = len(self.tiles())
        turn = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if count and turn is not None:
            self._at = (self._at + turn) % count
            self.update()
        elif count and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.picked.emit(self._shown[self._at].place)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """The tooltip says what a click does."""
        if event.type() == QEvent.Type.ToolTip:
            shown = self._under(QPointF(event.pos()))  # type: ignore[attr-defined]
            text = "" if shown is None else self.tr("Put this drawing on the canvas")
            QToolTip.showText(event.globalPos(), text, self)  # type: ignore[attr-defined]
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The thumbnails."""
        painter, theme = QPainter(self), self._theme
        painter.setFont(font(SMALL_PX))
        if not self._shown or self._examples is None:
            painter.setPen(QColor(theme.quiet))
            painter.drawText(self.rect(), Qt.TextFlag.TextWordWrap, self._words)
            return
        for at, (box, shown) in enumerate(self.tiles()):
            painter.drawImage(box, self._image(shown.place))
            chosen = self.hasFocus() and at == self._at
            painter.setPen(QPen(QColor(theme.o if chosen else theme.line), 1))
            painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
            painter.setPen(QColor(theme.quiet))
            words = QRectF(box.x() - _GAP / 2, box.bottom() + 1, box.width() + _GAP, _WORDS)
            painter.drawText(words, Qt.AlignmentFlag.AlignCenter, shown.words)

    def _image(self, place: int) -> QImage:
        assert self._examples is not None
        if place not in self._images:
            self._images[place] = picture_atlas(self._examples.images[place], self._theme)
        return self._images[place]

    def _under(self, at: QPointF) -> Shown | None:
        return next((shown for box, shown in self.tiles() if box.contains(at)), None)

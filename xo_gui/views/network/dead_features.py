"""Dead marks: the sign of a feature that is 0 on every drawing, where it stands in the network's columns, and what
it means. They find none themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from engine.nn.network import Network
from engine.runtime.training_protocol import Training
from engine.training.layer_statistics import Dead
from xo_gui.app.theme import SMALL_PX, Theme
from xo_gui.views.network.column_painting import kept_font
from xo_gui.views.network.layout import Box, Column, Strip

_SIDE, _LEAST_WORD = 9.0, 40.0
_LEAST_RING = 5.0


def paint_dead(painter: QPainter, theme: Theme, middle: QPointF, side: float) -> None:
    """A circle with a bar through it, `side` wide, in the text's colour: no sign of a class, and no value."""
    sign = QPainterPath()
    _add_sign(sign, middle, side)
    _paint_signs(painter, theme, sign)


def _add_sign(path: QPainterPath, middle: QPointF, side: float) -> None:
    half = side / 2
    if side < _LEAST_RING:  # where a ring would be a blot, what is dead is struck out
        path.moveTo(middle + QPointF(-half, 0))
        path.lineTo(middle + QPointF(half, 0))
        return
    path.addEllipse(middle, half, half)
    part = half * 0.7
    path.moveTo(middle + QPointF(-part, part))
    path.lineTo(middle + QPointF(part, -part))


def _paint_signs(painter: QPainter, theme: Theme, signs: QPainterPath) -> None:
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(theme.text), 1.3))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(signs)
    painter.restore()


def dead_words(name: str, examples: int) -> str:
    """What a dead feature is, and what to do about it."""
    said = _tr(
        "{0} is dead: after the ReLU it is 0 on all {1} held-out drawings looked at, so no gradient reaches it and "
        "it does not learn any more. A lower rate keeps features alive; a new start, or an earlier moment, gets "
        "them back."
    )
    return said.format(name, examples)


class DeadMarks(QObject):
    """The marks of the network that trains, on the widget that shows its columns.

    strip: gives the columns, where they are laid out, and how far they are scrolled, or None.
    """

    def __init__(self, widget: QWidget, strip: Callable[[], tuple[Strip, float] | None]) -> None:
        super().__init__(widget)
        self._strip, self._widget = strip, widget
        self._dead: tuple[Dead, ...] = ()
        self._examples = 0
        # Where they were painted last, and by which columns and dead: while training runs every picture asks.
        self._laid: tuple[Strip, tuple[Dead, ...]] | None = None
        self._signs, self._papers = QPainterPath(), list[Box]()
        widget.installEventFilter(self)

    def take(self, training: Training | None, network: Network, live: bool) -> None:
        """Mark what was found dead. live: whether the columns are read by training's weights."""
        found = None if training is None else training.statistics
        known = found is not None and live and found.network == network
        self._dead = found.dead if found is not None and known else ()
        self._examples = 0 if found is None else found.examples

    def said(self) -> str:
        """How many are dead, for those who do not see the marks; "" for none."""
        count = sum(len(dead.channels) for dead in self._dead)
        return _tr("{0} dead features").format(count) if count else ""

    def paint(self, painter: QPainter, theme: Theme) -> None:
        """All marks, over the tiles."""
        shown = self._strip()
        if shown is None or not self._dead:
            return
        if self._laid != (shown[0], self._dead):
            self._laid, self._signs, self._papers = (shown[0], self._dead), QPainterPath(), []
            for _, _, box in self._boxes(shown[0]):
                middle, side = _place(box)
                self._papers += [box] if side == _SIDE else []
                _add_sign(self._signs, middle, side)
        for box in self._papers:
            _paint_paper(painter, theme, box)
        _paint_signs(painter, theme, self._signs)

    def tip(self, x: float, y: float) -> str:
        """What is to be said of a point of the widget."""
        shown = self._strip()
        if shown is None:
            return ""
        strip, scrolled = shown
        for column, channel, box in self._boxes(strip):
            if box.holds(x + scrolled, y):
                kind = _tr("Feature {0}") if column.is_map else _tr("Value {0}")
                return dead_words(kind.format(channel + 1), self._examples)
        return ""

    def _boxes(self, strip: Strip) -> Iterator[tuple[Column, int, Box]]:
        """The tiles of the dead, in the column of the features and in that of the layer that cuts them."""
        for dead in self._dead:
            columns = {id(column): column for column in map(strip.column_of, (dead.layer, dead.cut)) if column}
            for column in columns.values():
                for channel in filter(column.maps.__contains__, dead.channels):
                    yield column, channel, column.tile(channel)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A tooltip over a mark."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            text = self.tip(event.pos().x(), event.pos().y())
            if text:
                QToolTip.showText(event.globalPos(), text, self._widget)
                return True
        return super().eventFilter(watched, event)


def _place(box: Box) -> tuple[QPointF, float]:
    """The middle of the sign, and how wide it is: at the top of a tile, at the left of a bar, apart from the next
    one's."""
    if box.height < 14:
        return QPointF(box.x + 4, box.y + box.height / 2), min(7.0, max(box.height - 2.0, 4.0))
    return QPointF(box.x + 3 + _SIDE / 2, box.y + 2.5 + _SIDE / 2), _SIDE


def _paint_paper(painter: QPainter, theme: Theme, box: Box) -> None:
    """What the sign of a tile lies on, and the word where there is room."""
    face, metrics = kept_font(SMALL_PX)
    word = _tr("dead")
    wide = metrics.horizontalAdvance(word) if box.width >= _LEAST_WORD else 0.0
    paper = QColor(theme.ground)
    paper.setAlphaF(0.85)
    painter.fillRect(QRectF(box.x, box.y, _SIDE + 5 + (wide + 3 if wide else 0), _SIDE + 5), paper)
    if wide:
        painter.setFont(face)
        painter.setPen(QColor(theme.text))
        painter.drawText(QPointF(box.x + _SIDE + 6, box.y + 11), word)


def _tr(text: str) -> str:
    return QCoreApplication.translate("DeadMarks", text)

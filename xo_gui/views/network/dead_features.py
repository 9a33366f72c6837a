"""Dead features: marks and tooltips in the network's columns for features that are 0 on every held-out drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from engine.nn import Network
from engine.training import DeadFeatures, NetworkStatistics
from xo_gui.app import SMALL_PX, Theme, translate
from xo_gui.views.network.column_painting import cached_font
from xo_gui.views.network.layout import Box, ColumnLayout, StripLayout

_SIDE, _MIN_TEXT_WIDTH = 9.0, 40.0
_MIN_RING = 5.0


class DeadFeatureMarks(QObject):
    """Marks the dead features of the training network on the widget that shows its columns.

    layout: returns the layout of the columns and its scroll offset, or None.
    """

    def __init__(self, widget: QWidget, layout: Callable[[], tuple[StripLayout, float] | None]) -> None:
        super().__init__(widget)
        self._layout, self._widget = layout, widget
        self._dead: tuple[DeadFeatures, ...] = ()
        self._examples = 0
        # The last painted marks and what they were computed from, because every frame of training needs them.
        self._painted: tuple[StripLayout, tuple[DeadFeatures, ...]] | None = None
        self._signs, self._tiles = QPainterPath(), list[Box]()
        widget.installEventFilter(self)

    def update(self, statistics: NetworkStatistics | None, network: Network) -> None:
        """Mark the dead features of the network that the columns show."""
        applies = statistics is not None and statistics.network == network
        self._dead = statistics.dead if statistics is not None and applies else ()
        self._examples = 0 if statistics is None else statistics.examples

    def summary(self) -> str:
        """The number of dead features as text for screen readers; "" for none."""
        count = sum(len(dead.channels) for dead in self._dead)
        text = (
            translate("DeadFeatures", "{0} dead feature")
            if count == 1
            else translate("DeadFeatures", "{0} dead features")
        )
        return text.format(count) if count else ""

    def paint(self, painter: QPainter, theme: Theme) -> None:
        """Paint all marks over the tiles."""
        shown = self._layout()
        if shown is None or not self._dead:
            return
        if self._painted != (shown[0], self._dead):
            self._painted, self._signs, self._tiles = (shown[0], self._dead), QPainterPath(), []
            for _, _, box in self._boxes(shown[0]):
                middle, side = _mark_geometry(box)
                self._tiles += [box] if side == _SIDE else []
                _add_sign(self._signs, middle, side)
        for box in self._tiles:
            _paint_background(painter, theme, box)
        _paint_signs(painter, theme, self._signs)

    def tooltip_text(self, x: float, y: float) -> str:
        """The tooltip at a point of the widget, "" away from marks."""
        shown = self._layout()
        if shown is None:
            return ""
        layout, scrolled = shown
        for column, channel, box in self._boxes(layout):
            if box.contains(x + scrolled, y):
                kind = (
                    translate("DeadFeatures", "Feature {0}")
                    if column.is_map
                    else translate("DeadFeatures", "Value {0}")
                )
                return dead_feature_text(kind.format(channel + 1), self._examples)
        return ""

    def _boxes(self, layout: StripLayout) -> Iterator[tuple[ColumnLayout, int, Box]]:
        """The tiles of dead features, in the column of their layer and in that of the ReLU that zeroes them."""
        for dead in self._dead:
            columns = {id(column): column for column in map(layout.column_of, (dead.layer, dead.relu)) if column}
            for column in columns.values():
                for channel in filter(column.maps.__contains__, dead.channels):
                    yield column, channel, column.tile(channel)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            text = self.tooltip_text(event.pos().x(), event.pos().y())
            if text:
                QToolTip.showText(event.globalPos(), text, self._widget)
                return True
        return super().eventFilter(watched, event)


def paint_dead_mark(painter: QPainter, theme: Theme, middle: QPointF, side: float) -> None:
    """Paint a circle with a bar through it, `side` wide, in the text colour."""
    sign = QPainterPath()
    _add_sign(sign, middle, side)
    _paint_signs(painter, theme, sign)


def dead_feature_text(name: str, examples: int) -> str:
    """An explanation of a dead feature, with remedies."""
    text = translate(
        "DeadFeatures",
        "{0} is dead: after the ReLU it is 0 on all {1} held-out drawings checked, so no gradient reaches it and "
        "it no longer learns. A lower learning rate keeps features alive; restarting training, or going back to an "
        "earlier step, recovers them.",
    )
    return text.format(name, examples)


def _mark_geometry(box: Box) -> tuple[QPointF, float]:
    """The centre and side of a mark: at the top of a tile, or at the left of a bar."""
    if box.height < 14:
        return QPointF(box.x + 4, box.y + box.height / 2), min(7.0, max(box.height - 2.0, 4.0))
    return QPointF(box.x + 3 + _SIDE / 2, box.y + 2.5 + _SIDE / 2), _SIDE


def _paint_background(painter: QPainter, theme: Theme, box: Box) -> None:
    """Paint the background of a tile's mark, and the word "dead" where there is room."""
    face, metrics = cached_font(SMALL_PX)
    word = translate("DeadFeatures", "dead")
    wide = metrics.horizontalAdvance(word) if box.width >= _MIN_TEXT_WIDTH else 0.0
    background = QColor(theme.background)
    background.setAlphaF(0.85)
    painter.fillRect(QRectF(box.x, box.y, _SIDE + 5 + (wide + 3 if wide else 0), _SIDE + 5), background)
    if wide:
        painter.setFont(face)
        painter.setPen(QColor(theme.text))
        painter.drawText(QPointF(box.x + _SIDE + 6, box.y + 11), word)


def _add_sign(path: QPainterPath, middle: QPointF, side: float) -> None:
    half = side / 2
    if side < _MIN_RING:  # too small for a circle: a line instead
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

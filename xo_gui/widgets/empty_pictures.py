"""Pictures of empty panels: a small sketch of what will be there, in the colour of decoration, under the sentence
that says how it comes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeAlias

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from xo_gui.app import Theme, current_theme
from xo_gui.widgets.buttons import HintLabel

EmptyPicture: TypeAlias = Literal[
    "curve", "branches", "film", "histograms", "mistakes", "robustness", "compare", "step", "batch", "drawings"
]

# The size that the sketches are drawn in, and on the screen: at most, at least, and the distance from the text.
_WIDTH, _HEIGHT = 100.0, 40.0
_LARGEST, _SMALLEST, _DISTANCE = 240.0, 70.0, 10.0
_LINE: Final = 1.3  # logical pixels


class EmptyLabel(HintLabel):
    """A hint over a picture of what will be there, where the label has room below its text."""

    def __init__(self, text: str, picture: EmptyPicture, parent: QWidget) -> None:
        super().__init__(text, parent)
        self._picture: EmptyPicture | None = picture

    def set_picture(self, picture: EmptyPicture | None) -> None:
        """Show this picture; None for none, where the text belongs to something that is there."""
        if picture != self._picture:
            self._picture = picture
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._picture is not None:
            with QPainter(self) as painter:
                paint_below_text(painter, QRectF(self.contentsRect()), self.text(), self._picture, self.alignment())


def paint_empty(painter: QPainter, box: QRectF, text: str, picture: EmptyPicture) -> None:
    """Paint the text of an empty panel at the top of a box, in the painter's font, and the picture below it."""
    painter.setPen(QColor(current_theme().secondary_text))
    painter.drawText(box, Qt.TextFlag.TextWordWrap, text)
    paint_below_text(painter, box, text, picture, Qt.AlignmentFlag.AlignTop)


def paint_below_text(
    painter: QPainter, box: QRectF, text: str, picture: EmptyPicture, alignment: Qt.AlignmentFlag
) -> None:
    """Paint the picture of an empty panel below a text that is wrapped in a box, unless it would be too small."""
    wrap = Qt.TextFlag.TextWordWrap | alignment
    lines = QFontMetricsF(painter.font()).boundingRect(box, wrap, text)
    top = lines.bottom() + _DISTANCE if text else box.top()
    room = QRectF(box.left(), top, box.width(), box.bottom() - top)
    width = min(room.width(), room.height() * _WIDTH / _HEIGHT, _LARGEST)
    if width < _SMALLEST:
        return
    left = room.left()
    if alignment & Qt.AlignmentFlag.AlignHCenter:
        left += (room.width() - width) / 2
    paint_picture(painter, QRectF(left, room.top(), width, width * _HEIGHT / _WIDTH), picture)


def paint_picture(painter: QPainter, box: QRectF, picture: EmptyPicture) -> None:
    """Paint the picture into a box whose sides are as 5 to 2."""
    theme = current_theme()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(box.topLeft())
    painter.scale(box.width() / _WIDTH, box.height() / _HEIGHT)
    pen = QPen(QColor(theme.disabled_text), _LINE, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
    pen.setCosmetic(True)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    _PAINTERS[picture](painter, theme)
    painter.restore()


# -- the sketches, in a frame of 100 by 40 -----------------------------------------------------------------------


def _line(painter: QPainter, points: Iterable[tuple[float, float]]) -> None:
    painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in points]))


def _cross(painter: QPainter, x: float, y: float, half: float) -> None:
    _line(painter, ((x - half, y - half), (x + half, y + half)))
    _line(painter, ((x - half, y + half), (x + half, y - half)))


def _letters(painter: QPainter, boxes: Iterable[QRectF]) -> None:
    """Framed letters, X and O by turns."""
    for index, box in enumerate(boxes):
        painter.drawRect(box)
        centre, half = box.center(), 0.27 * box.width()
        if index % 2:
            painter.drawEllipse(centre, half, half)
        else:
            _cross(painter, centre.x(), centre.y(), half)


def _axes(painter: QPainter, box: QRectF) -> None:
    _line(painter, ((box.left(), box.top()), (box.left(), box.bottom()), (box.right(), box.bottom())))


def _cells(painter: QPainter, theme: Theme, box: QRectF, strength: float, side: int = 3) -> None:
    """The kernel of a feature: a diagonal that stands out the more, the greater `strength`, 0 to 1."""
    size = box.width() / side
    for row in range(side):
        for column in range(side):
            colour = QColor(theme.disabled_text)
            is_stroke = row == column
            colour.setAlphaF(0.3 + (0.6 if is_stroke else -0.2) * strength)
            cell = QRectF(box.left() + column * size, box.top() + row * size, size, size)
            painter.fillRect(cell.adjusted(0.3, 0.3, -0.3, -0.3), colour)


def _curve(painter: QPainter, theme: Theme) -> None:
    _axes(painter, QRectF(4, 2, 92, 34))
    points = [(x, 4 + 28 * (1 - math.exp(-(x - 6) / 16))) for x in np.linspace(6, 94, 45).tolist()]
    _line(painter, points)
    painter.setBrush(QColor(theme.background))
    for x, y in points[8::9]:
        painter.drawEllipse(QPointF(x, y), 1.6, 1.6)


def _branches(painter: QPainter, theme: Theme) -> None:
    for row, end in enumerate((96, 78, 88)):
        y = 7 + 13 * row
        _line(painter, ((4, y), (18, y)))
        painter.drawRoundedRect(QRectF(24, y - 3, end - 24, 6), 2, 2)


def _film(painter: QPainter, theme: Theme) -> None:
    for index, strength in enumerate((0.05, 0.3, 0.65, 1.0)):
        box = QRectF(3 + 25 * index, 4, 20, 20)
        _cells(painter, theme, box, strength)
        _line(painter, ((box.left() + 6, 32), (box.right() - 6, 32)))


def _histograms(painter: QPainter, theme: Theme) -> None:
    for index, width in enumerate((0.5, 0.3, 0.18)):
        left = 3 + 33 * index
        _line(painter, ((left, 36), (left + 28, 36)))
        heights = np.exp(-(np.linspace(-1, 1, 9) ** 2) / (2 * width**2))
        for column, height in enumerate(heights.tolist()):
            painter.drawRect(QRectF(left + 1 + 3 * column, 36 - 28 * height, 2.2, 28 * height))


def _mistakes(painter: QPainter, theme: Theme) -> None:
    for row in range(2):
        for column in range(2):
            cell = QRectF(3 + 15 * column, 5 + 15 * row, 15, 15)
            if row == column:
                painter.fillRect(cell, QColor(theme.control))
            painter.drawRect(cell)
    _letters(painter, (QRectF(44 + 19 * index, 8, 15, 15) for index in range(3)))
    for index in range(3):
        _line(painter, ((46 + 19 * index, 29), (57 + 19 * index, 29)))


def _robustness(painter: QPainter, theme: Theme) -> None:
    for index, (centre, width) in enumerate(((0.5, 0.28), (0.7, 0.35), (0.2, 0.5))):
        box = QRectF(3 + 33 * index, 4, 28, 31)
        _axes(painter, box)
        shares = np.linspace(0, 1, 20)
        falls = 1 / (1 + ((shares - centre) / width) ** 4)
        _line(painter, zip((box.left() + 28 * shares).tolist(), (33 - 27 * falls).tolist(), strict=True))


def _compare(painter: QPainter, theme: Theme) -> None:
    for row in range(3):
        for column in range(4):
            box = QRectF(20 + 17 * column, 1 + 13.5 * row, 11, 11)
            _cells(painter, theme, box, (0.9, 0.4, 0.1)[row], side=4)
        if row < 2:
            _line(painter, ((4, 6 + 13.5 * row), (12, 6 + 13.5 * row)))
    _line(painter, ((8, 30), (12, 37), (4, 37), (8, 30)))  # the difference


def _step(painter: QPainter, theme: Theme) -> None:
    for index, height in enumerate((26, 22, 16, 10)):
        painter.drawRect(QRectF(4 + 26 * index, 18 - height / 2, 14, height))
    for x, y, way in ((20, 12, 1), (46, 12, 1), (72, 12, 1), (28, 24, -1), (54, 24, -1), (80, 24, -1)):
        end = x + 8 * way
        _line(painter, ((x, y), (end, y)))
        _line(painter, ((end - 2 * way, y - 2), (end, y), (end - 2 * way, y + 2)))


def _batch(painter: QPainter, theme: Theme) -> None:
    boxes = [QRectF(3 + 19 * column, 3 + 18 * row, 15, 15) for row in range(2) for column in range(5)]
    _letters(painter, boxes)


def _drawings(painter: QPainter, theme: Theme) -> None:
    _letters(painter, (QRectF(3 + 25 * index, 4, 20, 20) for index in range(4)))
    for index in range(4):
        _line(painter, ((7 + 25 * index, 31), (19 + 25 * index, 31)))


_PAINTERS: Final[dict[EmptyPicture, Callable[[QPainter, Theme], None]]] = {
    "curve": _curve,
    "branches": _branches,
    "film": _film,
    "histograms": _histograms,
    "mistakes": _mistakes,
    "robustness": _robustness,
    "compare": _compare,
    "step": _step,
    "batch": _batch,
    "drawings": _drawings,
}

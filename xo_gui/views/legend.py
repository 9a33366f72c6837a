"""Legend: the bar of colours under a column with the two values at its ends. It chooses no levels."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath

from xo_gui.app.theme import SMALL_PX, Theme, to_qimage
from xo_gui.views import numerals
from xo_gui.views.column_painter import kept_font
from xo_gui.views.stages import Stage

HEIGHT = 14.0
BAR_HEIGHT, WIDEST_BAR, SHORTEST_BAR = 5.0, 48.0, 14.0


def paint_legend(
    painter: QPainter, theme: Theme, stage: Stage, level: float | None, left: float, top: float, width: float
) -> None:
    """Numbers and colours in `width` x HEIGHT. level: where the colours end, None if each map has its own."""
    low = -1.0 if stage.signed else 0.0
    if level is None:
        names = (numerals.MINUS if stage.signed else "0"), "+"
    else:
        names = numerals.level(low * level), numerals.level(level)
    face, metrics = kept_font(SMALL_PX)
    widths = [metrics.horizontalAdvance(name) for name in names]
    if level is not None and stage.signed and sum(widths) + 10 + SHORTEST_BAR > width:
        # In a narrow column both ends are said at once, rather than over the next column's legend.
        names = "", f"±{numerals.level(level)}"
        widths = [0.0, metrics.horizontalAdvance(names[1])]
    bar = min(max(width - sum(widths) - 10, SHORTEST_BAR), WIDEST_BAR)
    painter.setFont(face)
    painter.setPen(QColor(theme.quiet))
    middle = Qt.AlignmentFlag.AlignVCenter
    painter.drawText(QRectF(left, top, widths[0] + 1, HEIGHT), middle, names[0])
    start = left + widths[0] + (5 if names[0] else 0)
    paint_scale(painter, theme, stage, QRectF(start, top + (HEIGHT - BAR_HEIGHT) / 2, bar, BAR_HEIGHT))
    painter.setPen(QColor(theme.quiet))
    painter.drawText(QRectF(start + bar + 5, top, widths[1] + 1, HEIGHT), middle, names[1])


def paint_scale(painter: QPainter, theme: Theme, stage: Stage, bar: QRectF) -> None:
    """The colours alone, in a rounded bar."""
    table = theme.picture_table if stage.kind == "picture" else theme.value_table
    if not stage.signed:
        table = table[127:]
    path = QPainterPath()
    path.addRoundedRect(bar, bar.height() / 2, bar.height() / 2)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.setClipPath(path, Qt.ClipOperation.IntersectClip)
    painter.drawImage(bar, to_qimage(table[None]))
    painter.restore()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QColor(theme.line))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(path)
    painter.restore()

"""Branch look: by which colour and dashes a branch of the training is told apart, and which branch is looked at. It
draws no curves."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap

from engine.runtime.training_protocol import Training
from engine.training.history import Branch
from xo_gui.app.theme import Theme
from xo_gui.state.commands import Intent

# In widths of the pen. There are not as many as colours, so that a pair of both comes back late.
_DASHES: Final = ((6.0, 3.0), (2.0, 2.5), (7.0, 2.5, 1.5, 2.5), (12.0, 3.0))
_SWATCH = (22, 10)


def branch_pen(theme: Theme, number: int, width: float) -> QPen:
    """How the branch of this number is drawn: the first one plain, in the text's colour."""
    if number == 0:
        return QPen(QColor(theme.text), width)
    pen = QPen(QColor(theme.branches[(number - 1) % len(theme.branches)]), width)
    pen.setDashPattern(list(_DASHES[(number - 1) % len(_DASHES)]))
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    return pen


def swatch(theme: Theme, number: int, ratio: float) -> QIcon:
    """A piece of the branch's line. ratio: device pixels in a logical one."""
    wide, high = _SWATCH
    pixmap = QPixmap(round(wide * ratio), round(high * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setPen(branch_pen(theme, number, 2.0))
    middle = QRectF(0, 0, wide, high).center().y()
    painter.drawLine(QPointF(0, middle), QPointF(wide, middle))
    painter.end()
    icon = QIcon(pixmap)
    # Else Qt would tint it in a row that is chosen, and it would be another branch's.
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def seen_branch(training: Training | None, intent: Intent | None) -> Branch | None:
    """The branch that is looked at: that of the moment looked back at, otherwise the one that trains."""
    if training is None:
        return None
    look = None if intent is None else intent.look
    number = training.now.branch if look is None else look.branch
    return training.branches[number] if 0 <= number < len(training.branches) else None

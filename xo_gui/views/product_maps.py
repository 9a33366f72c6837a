"""Product maps: a weight's inputs, the gradients they meet, and the products, as three small maps. It adds up
nothing."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from engine.nn.layers import Products
from xo_gui.app.theme import DARK, SMALL_PX, Theme, colours, font, to_qimage
from xo_gui.views import numerals
from xo_gui.views.network.colour_limits import calm

_SIDE, _BETWEEN, _WORDS = 68.0, 20.0, 28.0


class ProductMaps(QWidget):
    """Input × gradient = product, at every place where the weight was laid."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._products: Products | None = None
        self.setAccessibleName(self.tr("Input times gradient, place by place"))

    def sizeHint(self) -> QSize:
        """Three maps in a row."""
        return QSize(int(3 * _SIDE + 2 * _BETWEEN) + 2, int(_SIDE + _WORDS))

    def minimumSizeHint(self) -> QSize:
        """All of it."""
        return self.sizeHint()

    def show_products(self, products: Products | None) -> None:
        """Of one example, (1, H, W); anything else has no maps."""
        self._products = products if products is not None and products.inputs.ndim == 3 else None
        self.update()

    @property
    def has_maps(self) -> bool:
        """Whether there is anything to show."""
        return self._products is not None

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The maps, with their levels beneath."""
        if self._products is None:
            return
        painter, theme = QPainter(self), self._theme
        painter.setFont(font(SMALL_PX))
        inputs, gradients = self._products.inputs[0], self._products.gradients[0]
        names = (self.tr("input"), self.tr("gradient"), self.tr("product"))
        maps = (inputs, gradients, inputs * gradients)
        for at, (name, values) in enumerate(zip(names, maps, strict=True)):
            level = calm(float(np.abs(np.nan_to_num(values)).max(initial=0.0)))
            high, wide = values.shape
            scale = _SIDE / max(high, wide)
            box = QRectF(at * (_SIDE + _BETWEEN) + 1, 1, wide * scale, high * scale)
            painter.drawImage(box, to_qimage(colours(values, -level, level, theme.value_table)))
            painter.setPen(QColor(theme.line))
            painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
            painter.setPen(QColor(theme.quiet))
            words = f"{name}\n±{numerals.level(level)}"
            painter.drawText(QRectF(box.x(), _SIDE + 2, _SIDE + 8, _WORDS), Qt.AlignmentFlag.AlignLeft, words)
            if at < 2:
                sign = QRectF(box.x() + _SIDE, 0, _BETWEEN, _SIDE)
                painter.drawText(sign, Qt.AlignmentFlag.AlignCenter, "×="[at])

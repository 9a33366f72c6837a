"""Template matching view: the naive method that the article begins with, beside the network. The drawing is
compared with the templates of its classes pixel by pixel; matching pixels are green, others violet."""

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

from engine.documents import Document
from engine.explain import TemplateMatch, Templates
from engine.nn import UNSURE, Prediction
from engine.runtime import Snapshot
from xo_gui.app import SMALL_PX, current_theme, font, theme_service
from xo_gui.views.view import View
from xo_gui.widgets import (
    APPROXIMATELY,
    FocusFrameWidget,
    HintLabel,
    maps_atlas,
    operands,
    paint_class_symbol,
    picture_atlas,
    signed_text,
)

# The least and the largest side of a picture, the gaps within and between pairs, the height of the scores.
_MIN_SIDE, _MAX_SIDE, _INNER_GAP, _OUTER_GAP, _SCORE_HEIGHT = 34.0, 120.0, 4.0, 14.0, 18.0
_COLOUR_LIMIT = np.ones(1, np.float32)


class TemplatePairs(FocusFrameWidget):
    """A pair of pictures for each class, template and products, with the score below. picked(index): a template was
    clicked."""

    picked = Signal(int)

    def __init__(self, parent: View) -> None:
        super().__init__(parent)
        theme_service.changed.connect(self._discard_images)
        self._comparison: TemplateMatch | None = None
        self._templates: Templates | None = None
        self._images: list[QImage] = []
        self._focused = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("The drawing compared with a template of each class"))

    def sizeHint(self) -> QSize:
        return QSize(240, 74)

    def minimumSizeHint(self) -> QSize:
        return QSize(round(4 * _MIN_SIDE + 2 * _INNER_GAP + _OUTER_GAP), round(_MIN_SIDE + _SCORE_HEIGHT))

    def show_comparison(self, comparison: TemplateMatch | None) -> None:
        """Show a comparison; None for a network without templates."""
        self._comparison = comparison
        if comparison is None or comparison.templates is not self._templates:
            self._templates = None if comparison is None else comparison.templates
            self._images = []
        description = "" if comparison is None else self._description(comparison)
        if description != self.accessibleDescription():
            self.setAccessibleDescription(description)
        self.update()

    def _discard_images(self) -> None:
        self._images = []
        self.update()

    def boxes(self, index: int) -> tuple[QRectF, QRectF]:
        """The boxes of a class's template and products."""
        side = float(int(min(self._side_for_width, max(self.height() - _SCORE_HEIGHT, _MIN_SIDE))))
        left = index * (2 * side + _INNER_GAP + _OUTER_GAP)
        return QRectF(left, 0, side, side), QRectF(left + side + _INNER_GAP, 0, side, side)

    @property
    def _side_for_width(self) -> float:
        return min(max((self.width() - 2 * _INNER_GAP - _OUTER_GAP) / 4, _MIN_SIDE), _MAX_SIDE)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Limit the height to what the width needs, so that the sentence below stays near."""
        self.setMaximumHeight(round(self._side_for_width + _SCORE_HEIGHT))
        super().resizeEvent(event)

    def _description(self, comparison: TemplateMatch) -> str:
        parts = []
        for index, name in enumerate(comparison.templates.classes):
            parts.append(f"{name}: {self._match_text(comparison, index)}, {signed_text(comparison.scores[index])}")
        return "; ".join(parts)

    def _match_text(self, comparison: TemplateMatch, index: int) -> str:
        products = comparison.products[index]
        return self.tr("{0} of {1} pixels match").format(int((products > 0).sum()), products.size)

    # -- painting ----------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        comparison, theme = self._comparison, current_theme()
        if comparison is None:
            return
        if not self._images:
            self._images = [picture_atlas(one[None], theme) for one in comparison.templates.pictures]
        with QPainter(self) as painter:
            painter.setFont(font(SMALL_PX))
            for index, name in enumerate(comparison.templates.classes):
                template, products = self.boxes(index)
                painter.drawImage(template, self._images[index])
                painter.drawImage(products, maps_atlas(comparison.products[index][None], _COLOUR_LIMIT, 1, theme))
                painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
                painter.setBrush(Qt.BrushStyle.NoBrush)
                for box in (template, products):
                    focused = self.hasFocus() and index == self._focused and box is template
                    painter.setPen(QPen(QColor(theme.o if focused else theme.border), 1))
                    painter.drawRect(box.adjusted(0, 0, -1, -1))
                self._paint_score(painter, comparison, index, name)

    def _paint_score(self, painter: QPainter, comparison: TemplateMatch, index: int, name: str) -> None:
        template, products = self.boxes(index)
        predicted, middle = comparison.predicted_class == name, template.bottom() + _SCORE_HEIGHT / 2 + 1
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_class_symbol(painter, current_theme(), index, name, QPointF(template.left() + 5, middle), 10)
        painter.setFont(font(SMALL_PX, strong=predicted))
        painter.setPen(QColor(current_theme().text if predicted else current_theme().secondary_text))
        left, width = template.left(), products.right() - template.left()
        place = QRectF(left, middle - _SCORE_HEIGHT / 2, width, _SCORE_HEIGHT)
        right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        painter.drawText(place, right, signed_text(comparison.scores[index]))

    # -- input -------------------------------------------------------------------------------------------------

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        for index in range(len(self._classes)):
            if self.boxes(index)[0].contains(event.position()):
                self._focused = index
                self.picked.emit(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and Right focus a template, Return, Enter and Space pick it."""
        count, key = len(self._classes), Qt.Key(event.key())
        if count and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._focused = (self._focused + (1 if key == Qt.Key.Key_Right else -1)) % count
            self.update()
        elif count and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.picked.emit(self._focused)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """Show the values of the pixel under the mouse as a tooltip."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.tooltip_at(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def tooltip_at(self, place: QPointF) -> str:
        """The tooltip at a position: the template's purpose, or the product of the pixel there."""
        comparison = self._comparison
        for index, name in enumerate(self._classes):
            template, products = self.boxes(index)
            if comparison is not None and template.contains(place):
                return self.tr("Template of the {0}; click to put it on the canvas").format(name)
            if comparison is not None and products.contains(place):
                pixel = self._pixel_text(comparison, index, products, place)
                return f"{pixel}\n{self._match_text(comparison, index)}"
        return ""

    def _pixel_text(self, comparison: TemplateMatch, index: int, box: QRectF, place: QPointF) -> str:
        products, side = comparison.products[index], len(comparison.products[index])
        row, column = (
            int((place.y() - box.y()) / box.height() * side),
            int((place.x() - box.x()) / box.width() * side),
        )
        row, column = min(row, side - 1), min(column, side - 1)
        product, template = float(products[row, column]), float(comparison.templates.pictures[index, row, column])
        factors, result = (float(comparison.picture[row, column]), template), signed_text(product)
        shown = operands(factors, np.prod, signed_text, result, signed_text)
        text = self.tr("Row {0}, column {1}: drawing {2} × {3} {4} {5} {6}")
        name, sign = comparison.templates.classes[index], "=" if shown.give_result else APPROXIMATELY
        return text.format(row + 1, column + 1, shown.texts[0], name, shown.texts[1], sign, result)

    @property
    def _classes(self) -> tuple[str, ...]:
        return () if self._comparison is None else self._comparison.templates.classes


class TemplateView(View):
    """The template of each class, its product with the drawing, the scores, and both predictions in a sentence. A
    click on a template puts it on the canvas, to be moved by the sliders."""

    title = "Template matching"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._comparison: TemplateMatch | None = None
        self.pairs, self.sentence = TemplatePairs(self), HintLabel("", self)
        self.pairs.picked.connect(self._draw_template)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.pairs, 1)
        column.addWidget(self.sentence)
        column.addStretch()
        self.setAccessibleName(self.tr("Template matching"))

    def sizeHint(self) -> QSize:
        return QSize(240, 112)  # four small pictures and two lines

    def set_document(self, document: Document) -> None:
        self._document = document

    def set_snapshot(self, snapshot: Snapshot) -> None:
        self._comparison = snapshot.comparison
        self.pairs.show_comparison(snapshot.comparison)
        if snapshot.comparison is None:
            text = self.tr("There are no templates of these classes: choose a network of others.")
        else:
            text = self._sentence(snapshot.comparison, snapshot.predictions[0])
        if text != self.sentence.text():
            self.sentence.setText(text)

    def _sentence(self, comparison: TemplateMatch, prediction: Prediction) -> str:
        if prediction.is_blank:
            return self.tr(
                "Draw, then move the drawing with the sliders: the network copes with it, templates do not."
            )
        matched, network = comparison.predicted_class, prediction.predicted_class
        if matched == UNSURE:
            return self.tr("Both templates match equally. The network: {0}.").format(network)
        if matched == network:
            return self.tr("Template matching says {0}, and so does the network.").format(matched)
        return self.tr("Template matching says {0}; the network says {1}.").format(matched, network)

    def _draw_template(self, index: int) -> None:
        if self._document is not None and self._comparison is not None:
            templates = self._comparison.templates
            text = self.tr("Template {0}").format(templates.classes[index])
            self.edited.emit(self._document.with_image(templates.pictures[index][None]), text, "")

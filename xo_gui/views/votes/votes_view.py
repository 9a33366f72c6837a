"""Votes view: the prediction for the drawing, as a bar for each class and a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QResizeEvent,
)
from PySide6.QtWidgets import QLabel, QSizePolicy, QToolTip, QVBoxLayout, QWidget

from engine.data import class_phrase
from engine.documents import Document
from engine.explain import TemplateMatch
from engine.nn import UNSURE, Model, Prediction
from engine.runtime import Snapshot
from xo_gui.app import SMALL_PX, TEXT_PX, current_theme, font
from xo_gui.state import CellRef, TrainingSettings
from xo_gui.views.network import MODEL_LETTERS, agreement_text, model_label, model_labels
from xo_gui.views.view import View
from xo_gui.widgets import (
    NO_VALUE,
    class_name_width,
    paint_class_name,
    paint_class_symbol,
    percent_text,
    tooltip_text,
    vote_texts,
)

# The height of a row, and of one of two networks; the bar's share of it.
_ROW_HEIGHT, _LOW_ROW_HEIGHT, _BAR_SHARE, _GAP = 27, 22, 5 / 9, 10
_NUMBER_PX = 17
_SYMBOL, _NAME_GAP, _MAX_NAME_WIDTH = 12.0, 5.0, 54


@dataclass(frozen=True)
class VoteRow:
    """One class: its name, its vote (None without a prediction), the vote's text, and whether it is predicted."""

    name: str
    vote: float | None
    text: str
    is_predicted: bool


class VotesView(View):
    """A block of bars and a sentence for each model of the Document; a click on a bar pins that vote."""

    title = "Votes"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._models: tuple[Model, ...] = ()
        self.blocks: list[VoteBlock] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(10)
        self.agreement = QLabel(self)
        self.agreement.setWordWrap(True)
        self.agreement.setFont(font(TEXT_PX, strong=True))
        self.agreement.hide()
        self._live = False
        self._column.addWidget(self.agreement)
        self._column.addStretch()
        self.setAccessibleName(self.tr("Votes"))

    def set_document(self, document: Document) -> None:
        """Make a block for each model; new models wait for their first prediction."""
        if document.models == self._models:
            return
        self._update_blocks(document.models)
        for block, model in zip(self.blocks, self._models, strict=True):
            block.show_waiting(model, self.tr("Waiting for the network.") if len(self.blocks) == 1 else "")

    def set_training(self, settings: TrainingSettings) -> None:
        self._live = settings.live

    def set_snapshot(self, snapshot: Snapshot) -> None:
        if not snapshot.predictions:
            for block, model in zip(self.blocks, self._models, strict=True):
                block.show_waiting(model, self.tr("No prediction for this drawing; the status bar says why."))
            return
        self._update_blocks(tuple(reading.model for reading in snapshot.predictions))
        alone = len(snapshot.predictions) == 1
        for block, prediction in zip(self.blocks, snapshot.predictions, strict=True):
            # Two models share one sentence.
            block.show_prediction(prediction, self._sentence(prediction, snapshot.comparison) if alone else "")
        if not alone:
            self._update_comparison(snapshot)

    def _update_comparison(self, snapshot: Snapshot) -> None:
        """Show the names of both models, and whether their predictions agree."""
        labels = model_labels(snapshot.predictions, snapshot.training, self._live)
        for block, letter, name in zip(self.blocks, MODEL_LETTERS, labels, strict=True):
            block.set_name(f"{letter}  {name}")
        blank = snapshot.predictions[0].is_blank
        text = self.tr("Draw something: the canvas is blank.") if blank else agreement_text(snapshot.predictions)
        if text != self.agreement.text():
            self.agreement.setText(text)
            self._fit_agreement()

    def _fit_agreement(self) -> None:
        """Make the sentence as high as its lines."""
        self.agreement.setMinimumHeight(max(self.agreement.heightForWidth(self.width()), 0))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit_agreement()
        super().resizeEvent(event)

    def _update_blocks(self, models: tuple[Model, ...]) -> None:
        """Make as many blocks as there are models, named if there are two."""
        while len(self.blocks) > len(models):
            block = self.blocks.pop()
            self._column.removeWidget(block)
            block.setParent(None)
            block.deleteLater()
        while len(self.blocks) < len(models):
            block = VoteBlock(self, len(self.blocks))
            block.bars.picked.connect(self.pinned)
            self._column.insertWidget(len(self.blocks), block)
            self.blocks.append(block)
        self._models = models
        alone = len(models) == 1
        self._column.setSpacing(10 if alone else 5)
        for block, model, letter in zip(self.blocks, models, MODEL_LETTERS, strict=False):
            block.set_name(f"{letter}  {model_label(model)}")
            block.set_alone(alone)
        self.agreement.setHidden(alone)

    def _sentence(self, prediction: Prediction, matching: TemplateMatch | None) -> str:
        network = prediction.model.network
        predicted, classes = prediction.predicted_class, network.classes
        if prediction.is_blank:
            return self.tr("Draw something: the canvas is blank.")
        if not all(map(math.isfinite, prediction.votes.tolist())):
            return self.tr("No votes: the values are infinite or NaN. Go back to an earlier step.")
        if network.vote == "score":
            return self._most_votes_sentence(prediction)
        if np.ptp(prediction.votes) == 0:
            return self.tr("No opinion: all scores of the network are equal.")
        if prediction.predicted_class == UNSURE:
            if len(classes) == 2 and all(class_phrase(name) != name for name in classes):
                return self.tr("Unsure: this looks like neither {0} nor {1}.").format(*classes)
            return self.tr("Unsure: this looks like none of the classes.")
        phrase = class_phrase(predicted)
        text = self.tr("It is: {0}.") if phrase == predicted else self.tr("It is {0}.")
        if matching is not None and matching.predicted_class not in (UNSURE, predicted):
            text += self.tr(" Template matching says {1}.")
            return text.format(phrase, matching.predicted_class)
        return text.format(phrase)

    def _most_votes_sentence(self, prediction: Prediction) -> str:
        """The sentence of a network without a threshold, which always predicts the class with the most votes."""
        if prediction.predicted_class == UNSURE:
            most = self.tr("The classes have equally many votes.")
        else:
            most = self.tr("{} has the most votes.").format(prediction.predicted_class)
        rest = self.tr("This network has no 'unsure': the article assumes it is always one or the other.")
        return f"{most} {rest}"


class VoteBlock(QWidget):
    """The bars and the sentence of one model."""

    def __init__(self, parent: QWidget, model: int) -> None:
        super().__init__(parent)
        self._model = model
        self.heading, self.bars, self.sentence = QLabel(self), VoteBars(self), QLabel(self)
        for label in (self.heading, self.sentence):
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.heading.setFont(font(SMALL_PX, strong=True))
        self.heading.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._alone = True
        self._name = ""
        self.sentence.setWordWrap(True)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.sentence.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        for widget in (self.heading, self.bars, self.sentence):
            column.addWidget(widget)

    def set_name(self, name: str) -> None:
        """Set the heading; one that is too long is elided, and shown whole as a tooltip."""
        if name != self._name:
            self._name = name
            self._update_heading()

    def set_alone(self, alone: bool) -> None:
        """Set whether this is the only block, which needs no heading and has space for a sentence."""
        self.heading.setVisible(not alone)
        if alone != self._alone:
            self._alone = alone
            self._fit_sentence()
            self.bars.row_height = _ROW_HEIGHT if alone else _LOW_ROW_HEIGHT
            self.bars.updateGeometry()
            self.sentence.setVisible(alone or bool(self.sentence.text()))

    def _update_heading(self) -> None:
        elided = self.heading.fontMetrics().elidedText(self._name, Qt.TextElideMode.ElideRight, self.width())
        self.heading.setText(elided)
        self.heading.setToolTip(tooltip_text(self._name) if elided != self._name else "")

    def show_waiting(self, model: Model, sentence: str) -> None:
        """Show the classes without votes."""
        self._show([VoteRow(name, None, NO_VALUE, False) for name in model.network.classes], None, sentence)
        self.bars.cells = ()

    def show_prediction(self, prediction: Prediction, sentence: str) -> None:
        """Show the votes and the predicted class."""
        network, shares = prediction.model.network, prediction.model.network.vote == "softmax"
        rows = []
        votes = prediction.votes.tolist()
        for name, vote, text in zip(network.classes, votes, vote_texts(network, votes), strict=True):
            rows.append(VoteRow(name, vote if text != NO_VALUE else None, text, name == prediction.predicted_class))
        self._show(rows, prediction.model.threshold if shares else None, sentence)
        self.bars.cells = tuple(
            CellRef(len(network.layers), at, model_index=self._model) for at in range(len(rows))
        )

    def _show(self, rows: list[VoteRow], threshold: float | None, sentence: str) -> None:
        self.bars.show_rows(rows, threshold)
        if self.sentence.text() != sentence:
            self.sentence.setText(sentence)
            self._fit_sentence()
        self.sentence.setVisible(self._alone or bool(sentence))

    def _fit_sentence(self) -> None:
        """Make the sentence as high as its lines, and at least two lines, so that a new one moves nothing below."""
        least = (2 if self._alone else 1) * QFontMetrics(font()).lineSpacing()
        lines = max(self.sentence.heightForWidth(self.width()), least)
        if lines != self.sentence.minimumHeight():
            self.sentence.setMinimumHeight(lines)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit_sentence()
        self._update_heading()
        super().resizeEvent(event)


class VoteBars(QWidget):
    """A row for each class: its symbol, a bar and a number. picked(cell): the row of this vote was clicked."""

    picked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.row_height = _ROW_HEIGHT
        self.cells: tuple[CellRef, ...] = ()
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.rows: list[VoteRow] = []
        self._threshold: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Votes"))
        self.setToolTip(self._tip(None))

    def show_rows(self, rows: list[VoteRow], threshold: float | None) -> None:
        """Show these rows. threshold: the least vote of a sure prediction, marked on the bars; None for none."""
        if len(rows) != len(self.rows):
            self.updateGeometry()
        if threshold != self._threshold:
            self.setToolTip(self._tip(threshold))
        self.rows, self._threshold = rows, threshold
        description = "; ".join(f"{row.name}, {row.text}" for row in rows)
        if description != self.accessibleDescription():
            self.setAccessibleDescription(description)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(220, self.row_height * max(len(self.rows), 2))

    def minimumSizeHint(self) -> QSize:
        return QSize(150, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            left, right = self._margins()
            bar = QRectF(left, 0, max(self.width() - left - right, 1), self.row_height * _BAR_SHARE)
            most = max([1.0, *(row.vote or 0.0 for row in self.rows)])
            for index, row in enumerate(self.rows):
                middle = index * self.row_height + self.row_height / 2
                bar.moveTop(middle - self.row_height * _BAR_SHARE / 2)
                colour = QColor(current_theme().class_colour(index))
                self._paint_name(painter, index, row.name, middle)
                self._paint_bar(painter, bar, (row.vote or 0.0) / most, colour)
                self._paint_number(painter, row, middle)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Pick the vote of the row clicked."""
        index = int(event.position().y() // self.row_height)
        if event.button() == Qt.MouseButton.LeftButton and 0 <= index < len(self.cells):
            self.picked.emit(self.cells[index])
        else:
            event.ignore()

    def event(self, event: QEvent) -> bool:
        """Show a tooltip with the whole name of the class under the mouse and its vote, and what a click does."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.tooltip_at(event.pos().y()), self)
            return True
        return super().event(event)

    def tooltip_at(self, y: float) -> str:
        """The tooltip at a height."""
        index = int(y // self.row_height)
        rows = self.rows[index : index + 1] if index >= 0 else []
        return tooltip_text("\n".join([*(f"{row.name}, {row.text}" for row in rows), self._tip(self._threshold)]))

    def _tip(self, threshold: float | None) -> str:
        if threshold is None:
            return self.tr("Votes for each class; click one to see how it is computed")
        tip = self.tr(
            "Votes for each class (softmax); below the mark, at {}, the network is unsure. Click to see why."
        )
        return tip.format(percent_text(threshold))

    def _margins(self) -> tuple[float, float]:
        """The widths of the symbols or names at the left, and of the numbers at the right."""
        numbers = QFontMetrics(font(_NUMBER_PX, strong=True))
        name = _SYMBOL + self._name_width
        # The widest possible number, so that the bars keep their length.
        widest = ">99.9 %" if all(row.text.endswith(("%", NO_VALUE)) for row in self.rows) else "0.00"
        return name + _GAP, numbers.horizontalAdvance(widest) + _GAP

    @property
    def _name_width(self) -> float:
        """The width of the names and the space before them, 0 if every class has its name as its symbol."""
        widest = max((class_name_width(row.name, _MAX_NAME_WIDTH, TEXT_PX) for row in self.rows), default=0.0)
        return widest + _NAME_GAP if widest else 0.0

    def _paint_name(self, painter: QPainter, index: int, name: str, middle: float) -> None:
        """Paint the class's symbol, and its name unless that is the symbol."""
        paint_class_symbol(painter, current_theme(), index, name, QPointF(_SYMBOL / 2, middle), _SYMBOL - 1)
        left = _SYMBOL + _NAME_GAP
        box = QRectF(left, middle - self.row_height / 2, max(self._name_width - _NAME_GAP, 0.0), self.row_height)
        paint_class_name(painter, current_theme(), index, name, box, TEXT_PX)

    def _paint_bar(self, painter: QPainter, bar: QRectF, share: float, colour: QColor) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(current_theme().control))
        painter.drawRoundedRect(bar, 2, 2)
        painter.setBrush(colour)
        filled = QRectF(bar)
        filled.setWidth(bar.width() * min(max(share, 0.0), 1.0))
        if filled.width() > 0.5:
            painter.drawRoundedRect(filled, min(2.0, filled.width() / 2), min(2.0, filled.width() / 2))
        if self._threshold is not None:
            x = bar.left() + int(bar.width() * self._threshold)  # a whole pixel, so that the mark is sharp
            mark = QRectF(x, bar.top() - 3, 1, bar.height() + 6)
            painter.fillRect(mark, QColor(current_theme().secondary_text))

    def _paint_number(self, painter: QPainter, row: VoteRow, middle: float) -> None:
        painter.setFont(font(_NUMBER_PX, strong=row.is_predicted))
        painter.setPen(QColor(current_theme().text if row.is_predicted else current_theme().secondary_text))
        box = QRectF(0, middle - self.row_height / 2, self.width(), self.row_height)
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, row.text)

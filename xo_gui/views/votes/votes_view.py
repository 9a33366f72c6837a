"""Votes view: what the network says of the drawing, a bar for each class and a sentence. It reckons nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QMouseEvent, QPainter, QPaintEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.documents.document import Document
from engine.drawings.raster import ink
from engine.explain.template_matching import Comparison
from engine.nn.inference import BLANK_INK, UNSURE, Reading
from engine.nn.model import Subject
from engine.runtime.protocol import Snapshot
from xo_gui.app.theme import DARK, SMALL_PX, TEXT_PX, Theme, font
from xo_gui.state.commands import Intent
from xo_gui.state.selection import Cell
from xo_gui.views.network.model_names import LETTERS, agreement, called, names
from xo_gui.views.view import View
from xo_gui.widgets.map_images import DRAWN, paint_class
from xo_gui.widgets.number_text import NONE, percent, vote_text

# The height of a row, and of one where there are two networks; how much of it the bar takes.
_ROW, _LOW_ROW, _BAR, _GAP = 27, 22, 5 / 9, 10
_NUMBER_PX = 17
_SYMBOL, _MOST_NAME = 12.0, 72


@dataclass(frozen=True)
class Row:
    """One class: its name, its vote (None before the first reading), how it is printed, and whether it wins."""

    name: str
    vote: float | None
    printed: str
    wins: bool


class VotesView(View):
    """A block of bars and a verdict for each of the document's subjects; a click on a bar holds that vote."""

    title = "Votes"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._subjects: tuple[Subject, ...] = ()
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

    def show_document(self, document: Document) -> None:
        """Make room for its subjects; other ones wait for their first reading."""
        if document.subjects == self._subjects:
            return
        self._arrange(document.subjects)
        for block, subject in zip(self.blocks, self._subjects, strict=True):
            block.wait(subject, self.tr("Waiting for the network.") if len(self.blocks) == 1 else "")

    def show_intent(self, intent: Intent) -> None:
        """Whether the first one reads by training's weights."""
        self._live = intent.live

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show its readings at once, as they are."""
        if not snapshot.readings:
            for block, subject in zip(self.blocks, self._subjects, strict=True):
                block.wait(subject, self.tr("The network could not read this drawing; the status bar says why."))
            return
        self._arrange(tuple(reading.subject for reading in snapshot.readings))
        alone = len(snapshot.readings) == 1
        for block, reading in zip(self.blocks, snapshot.readings, strict=True):
            # Of two, one sentence says what both make of it.
            block.show_reading(reading, self._sentence(reading, snapshot.comparison) if alone else "")
        if not alone:
            self._compare(snapshot)

    def _compare(self, snapshot: Snapshot) -> None:
        """What each is called, and whether they agree."""
        called = names(snapshot.readings, snapshot.training, self._live)
        for block, letter, name in zip(self.blocks, LETTERS, called, strict=True):
            block.call(f"{letter}  {name}")
        blank = ink(snapshot.readings[0].outputs[0]) < BLANK_INK
        said = self.tr("Draw something: the canvas is blank.") if blank else agreement(snapshot.readings)
        if said != self.agreement.text():
            self.agreement.setText(said)
            self._make_room()

    def _make_room(self) -> None:
        """All lines of whether they agree are seen."""
        self.agreement.setMinimumHeight(max(self.agreement.heightForWidth(self.width()), 0))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width takes another number of lines."""
        self._make_room()
        super().resizeEvent(event)

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        for block in self.blocks:
            block.bars.set_theme(theme)

    def _arrange(self, subjects: tuple[Subject, ...]) -> None:
        """As many blocks as subjects, named if they are two."""
        while len(self.blocks) > len(subjects):
            block = self.blocks.pop()
            self._column.removeWidget(block)
            block.setParent(None)
            block.deleteLater()
        while len(self.blocks) < len(subjects):
            block = VoteBlock(self, len(self.blocks))
            block.bars.picked.connect(self.pinned)
            block.bars.set_theme(self._theme)
            self._column.insertWidget(len(self.blocks), block)
            self.blocks.append(block)
        self._subjects = subjects
        alone = len(subjects) == 1
        self._column.setSpacing(10 if alone else 5)
        for block, subject, letter in zip(self.blocks, subjects, LETTERS, strict=False):
            block.call(f"{letter}  {called(subject)}")
            block.stand_alone(alone)
        self.agreement.setHidden(alone)

    def _sentence(self, reading: Reading, naive: Comparison | None) -> str:
        network = reading.subject.network
        plain = network.classes == ("X", "O")
        if ink(reading.outputs[0]) < BLANK_INK:
            return self.tr("Draw something: the canvas is blank.")
        if not all(map(math.isfinite, reading.votes.tolist())):
            return self.tr("No votes: the values ran beyond all numbers. Go back to an earlier moment.")
        if network.vote == "score":
            return self._count_of_votes(reading)
        if reading.verdict == UNSURE:
            if plain:
                return self.tr("Unsure: this looks like neither X nor O.")
            return self.tr("Unsure: this looks like none of the classes.")
        if plain and naive is not None and naive.verdict not in (UNSURE, reading.verdict):
            words = self.tr("It is an {0}. Whole-picture comparison says {1}.")
            return words.format(reading.verdict, naive.verdict)
        if plain:
            return self.tr("It is an {}.").format(reading.verdict)
        return self.tr("It is: {}.").format(reading.verdict)

    def _count_of_votes(self, reading: Reading) -> str:
        """A network that always takes the class with the most votes has no verdict of its own."""
        if reading.verdict == UNSURE:
            most = self.tr("The classes have equally many votes.")
        else:
            most = self.tr("{} has the most votes.").format(reading.verdict)
        rest = self.tr("This network has no 'unsure': the article assumes it is always one or the other.")
        return f"{most} {rest}"


class VoteBlock(QWidget):
    """One subject's bars and what it says."""

    def __init__(self, parent: QWidget, subject: int) -> None:
        super().__init__(parent)
        self._subject = subject
        self.heading, self.bars, self.sentence = QLabel(self), VoteBars(self), QLabel(self)
        self.heading.setFont(font(SMALL_PX, strong=True))
        self.heading.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._alone = True
        self._called = ""
        self.sentence.setWordWrap(True)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.sentence.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        for widget in (self.heading, self.bars, self.sentence):
            column.addWidget(widget)

    def call(self, name: str) -> None:
        """Let it be called so, as far as there is room; where that cuts it, the whole is its tooltip."""
        if name != self._called:
            self._called = name
            self._show_name()

    def stand_alone(self, alone: bool) -> None:
        """Whether it is the only one, which then needs no name, and has room for every sentence."""
        self.heading.setVisible(not alone)
        if alone != self._alone:
            self._alone = alone
            self._make_room()
            self.bars.row = _ROW if alone else _LOW_ROW
            self.bars.updateGeometry()
            self.sentence.setVisible(alone or bool(self.sentence.text()))

    def _show_name(self) -> None:
        cut = self.heading.fontMetrics().elidedText(self._called, Qt.TextElideMode.ElideRight, self.width())
        self.heading.setText(cut)
        self.heading.setToolTip(self._called if cut != self._called else "")

    def wait(self, subject: Subject, sentence: str) -> None:
        """Show the classes without votes."""
        self._show([Row(name, None, NONE, False) for name in subject.network.classes], None, sentence)
        self.bars.cells = ()

    def show_reading(self, reading: Reading, sentence: str) -> None:
        """Show the votes and who wins."""
        network, shares = reading.subject.network, reading.subject.network.vote == "softmax"
        rows = []
        for name, vote in zip(network.classes, reading.votes.tolist(), strict=True):
            printed = vote_text(network, vote)
            rows.append(Row(name, vote if printed != NONE else None, printed, name == reading.verdict))
        self._show(rows, reading.subject.threshold if shares else None, sentence)
        self.bars.cells = tuple(Cell(len(network.layers), at, subject=self._subject) for at in range(len(rows)))

    def _show(self, rows: list[Row], threshold: float | None, sentence: str) -> None:
        self.bars.show_rows(rows, threshold)
        if self.sentence.text() != sentence:
            self.sentence.setText(sentence)
            self._make_room()
        self.sentence.setVisible(self._alone or bool(sentence))

    def _make_room(self) -> None:
        """All lines of the sentence are seen, and two have room always: a verdict moves nothing below it."""
        least = (2 if self._alone else 1) * QFontMetrics(font()).lineSpacing()
        lines = max(self.sentence.heightForWidth(self.width()), least)
        if lines != self.sentence.minimumHeight():
            self.sentence.setMinimumHeight(lines)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width takes another number of lines."""
        self._make_room()
        self._show_name()
        super().resizeEvent(event)


class VoteBars(QWidget):
    """One row a class: its shape in its colour, a bar, a number. picked(Cell): a click on the row of this vote."""

    picked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = DARK
        self.row = _ROW
        self.cells: tuple[Cell, ...] = ()
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.rows: list[Row] = []
        self._threshold: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Votes"))
        self.setToolTip(self.tr("How much each class is voted for; click one to see how it came about"))

    def show_rows(self, rows: list[Row], threshold: float | None) -> None:
        """threshold: marked on the bars; None where there is no such thing."""
        if len(rows) != len(self.rows):
            self.updateGeometry()
        if threshold != self._threshold:
            self.setToolTip(self._tip(threshold))
        self.rows, self._threshold = rows, threshold
        told = "; ".join(f"{row.name}, {row.printed}" for row in rows)
        if told != self.accessibleDescription():
            self.setAccessibleDescription(told)
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """As many rows as classes."""
        return QSize(220, self.row * max(len(self.rows), 2))

    def minimumSizeHint(self) -> QSize:
        """Narrower than this there is no bar."""
        return QSize(150, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """All rows."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left, right = self._margins()
        bar = QRectF(left, 0, max(self.width() - left - right, 1), self.row * _BAR)
        most = max([1.0, *(row.vote or 0.0 for row in self.rows)])
        for place, row in enumerate(self.rows):
            middle = place * self.row + self.row / 2
            bar.moveTop(middle - self.row * _BAR / 2)
            colour = QColor(self._theme.class_colour(place))
            self._paint_name(painter, place, row.name, middle)
            self._paint_bar(painter, bar, (row.vote or 0.0) / most, colour)
            self._paint_number(painter, row, middle)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Hold the vote of the row clicked."""
        place = int(event.position().y() // self.row)
        if event.button() == Qt.MouseButton.LeftButton and 0 <= place < len(self.cells):
            self.picked.emit(self.cells[place])
        else:
            event.ignore()

    def _tip(self, threshold: float | None) -> str:
        if threshold is None:
            return self.tr("How much each class is voted for; click one to see how it came about")
        mark = self.tr("How much each class is voted for; below the mark, at {}, it is unsure. Click to see why.")
        return mark.format(percent(threshold))

    def _margins(self) -> tuple[float, float]:
        """What the symbols or names take at the left, and the numbers at the right."""
        names = [row.name for row in self.rows if row.name not in DRAWN]
        metrics, numbers = QFontMetrics(font(TEXT_PX)), QFontMetrics(font(_NUMBER_PX, strong=True))
        name = max([_SYMBOL, *(min(metrics.horizontalAdvance(name), _MOST_NAME) for name in names)])
        # The widest that can come, so that the bars keep their length.
        widest = "99.9 %" if all(row.printed.endswith(("%", NONE)) for row in self.rows) else "0.00"
        return name + _GAP, numbers.horizontalAdvance(widest) + _GAP

    def _paint_name(self, painter: QPainter, place: int, name: str, middle: float) -> None:
        """The class's shape, or its whole name where it has none."""
        if name in DRAWN:
            paint_class(painter, self._theme, place, name, QPointF(_SYMBOL / 2, middle), _SYMBOL - 1)
            return
        painter.setFont(font(TEXT_PX))
        painter.setPen(QColor(self._theme.class_colour(place)))
        text = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, _MOST_NAME)
        room = QRectF(0, middle - self.row / 2, self._margins()[0], self.row)
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, text)

    def _paint_bar(self, painter: QPainter, bar: QRectF, share: float, colour: QColor) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._theme.control))
        painter.drawRoundedRect(bar, 2, 2)
        painter.setBrush(colour)
        filled = QRectF(bar)
        filled.setWidth(bar.width() * min(max(share, 0.0), 1.0))
        if filled.width() > 0.5:
            painter.drawRoundedRect(filled, min(2.0, filled.width() / 2), min(2.0, filled.width() / 2))
        if self._threshold is not None:
            place = bar.left() + int(bar.width() * self._threshold)  # on whole pixels, so that it is sharp
            mark = QRectF(place, bar.top() - 3, 1, bar.height() + 6)
            painter.fillRect(mark, QColor(self._theme.quiet))

    def _paint_number(self, painter: QPainter, row: Row, middle: float) -> None:
        painter.setFont(font(_NUMBER_PX, strong=row.wins))
        painter.setPen(QColor(self._theme.text if row.wins else self._theme.quiet))
        place = QRectF(0, middle - self.row / 2, self.width(), self.row)
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, row.printed)

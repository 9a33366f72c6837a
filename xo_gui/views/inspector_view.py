"""Inspector view: one value spelled out, from what it read to where it goes. It reckons none of it."""

from __future__ import annotations

import math

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QKeyEvent, QPalette
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from engine.reading import Reading
from engine.runner import Snapshot
from xo_gui.session import Cell, Focus
from xo_gui.theme import SMALL_PX, Theme, font
from xo_gui.views.blocks import Block, Heading, Note
from xo_gui.views.canvas_buttons import TickBox
from xo_gui.views.numerals import fixed
from xo_gui.views.onward import goes_on
from xo_gui.views.readout import say_cell
from xo_gui.views.sheet import Sheet
from xo_gui.views.slide import FASTEST, SLOWEST, Slide
from xo_gui.views.spelling import Spelled, spell
from xo_gui.views.trace import is_in
from xo_gui.views.view import View

VALUE_PX = 24
# What a screen reader is told changes at most four times a second.
CALM_MS = 250


class InspectorView(View):
    """Shows the value under the mouse, else the one that a click holds; plays the window over its map."""

    title = "Inspector"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._readings: tuple[Reading, ...] = ()
        self._focus = Focus()
        self._chosen: tuple[Cell, int] | None = None
        self._calm = QTimer(self, singleShot=True, interval=CALM_MS)
        self._calm.timeout.connect(self._say)
        self.slide = Slide(self)
        self.slide.moved.connect(self.slid)
        self.slide.stopped.connect(self._show_playing)
        self._build()
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName(self.tr("Inspector"))
        self._refresh()

    def _build(self) -> None:
        self.place, self.value, self.sheet = QLabel(self), QLabel(self), Sheet(self)
        self.place.setFont(font(SMALL_PX))
        self.place.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.place.setWordWrap(True)
        self.value.setFont(font(VALUE_PX, strong=True))
        self.sheet.picked.connect(self.pinned)
        self.sheet.chosen.connect(self._choose)
        self.area = QScrollArea(self)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(self._page())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for widget in (self.place, self.value, self.area):
            column.addWidget(widget)
        column.addLayout(self._play_row())
        self.cut_box = TickBox(self.tr("Cut digits off, as the article does"), self)
        self.cut_box.setToolTip(self.tr("Show 5 ÷ 9 as 0.55 instead of 0.56; only what is shown changes"))
        self.cut_box.toggled.connect(self._refresh)
        column.addWidget(self.cut_box)

    def _page(self) -> QWidget:
        """The sheet at the top of what scrolls."""
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 4, 10, 0)
        column.addWidget(self.sheet)
        column.addStretch()
        return page

    def _play_row(self) -> QHBoxLayout:
        self.play_button, self.step_button = QPushButton(self), QPushButton(self.tr("Step"), self)
        self.speed = QSlider(Qt.Orientation.Horizontal, self)
        self.speed.setRange(0, 100)
        self.speed.setValue(round(100 * math.log(self.slide.speed / SLOWEST) / math.log(FASTEST / SLOWEST)))
        self.speed.setAccessibleName(self.tr("Speed of the window"))
        self.speed.setToolTip(self.tr("How many values a second the window goes on"))
        self.speed.valueChanged.connect(self._set_speed)
        self.play_button.setToolTip(self.tr("Let the window slide over its map, value by value"))
        self.step_button.setToolTip(self.tr("Go on by one value"))
        self.step_button.setAccessibleName(self.tr("Step the window"))
        self.play_button.clicked.connect(self._toggle)
        self.step_button.clicked.connect(self.slide.step)
        row = QHBoxLayout()
        row.setContentsMargins(0, 4, 0, 4)
        for widget in (self.play_button, self.step_button, self.speed):
            row.addWidget(widget)
        self._show_playing()
        return row

    def sizeHint(self) -> QSize:
        """Narrow, and as tall as there is."""
        return QSize(268, 420)

    def minimumSizeHint(self) -> QSize:
        """Below this a window of 5 × 5 has no numbers."""
        return QSize(240, 220)

    # --- what is shown

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Spell out the same value as it is now; without readings, keep the last."""
        if snapshot.readings:
            self._readings = snapshot.readings
            self._refresh()

    def show_focus(self, focus: Focus) -> None:
        """Spell out what is looked at now."""
        if focus != self._focus:
            self._focus = focus
            self._refresh()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.sheet.set_theme(theme)

    def showEvent(self, event: object) -> None:
        """Hidden it was not kept up to date."""
        self._refresh()

    def _cell(self) -> tuple[Cell, Reading] | None:
        for cell in self._focus.cells:
            if cell.subject < len(self._readings):
                reading = self._readings[cell.subject]
                if is_in(reading.subject.network, cell):
                    return cell, reading
        return None

    def _refresh(self) -> None:
        found, cut = self._cell(), self.cut_box.isChecked()
        pinned = self._focus.pinned if found else None
        held = pinned is not None and pinned.subject < len(self._readings)
        self.slide.stand(self._readings[pinned.subject].subject.network if held and pinned else None, pinned)
        for widget in (self.play_button, self.step_button, self.speed):
            widget.setEnabled(pinned is not None)
        if not self.isVisible():
            return
        if found is None:
            self.place.setText("")
            self.value.setText("")
            self.sheet.show_blocks([Note(_nothing(self))], cut)
        else:
            cell, reading = found
            chosen = self._chosen[1] if self._chosen and self._chosen[0] == _map_of(cell) else None
            what = Spelled(reading, cell, chosen, cut)
            self.place.setText(say_cell(reading, cell).place)
            self.value.setText(fixed(what.value, cut))
            self.sheet.show_blocks([*spell(what), *_onward(self, reading, cell, cut)], cut)
        if not self._calm.isActive():
            self._calm.start()

    def _say(self) -> None:
        """What a screen reader says: the place, the value, and the sentences."""
        notes = [block.text for block in self.sheet.blocks if isinstance(block, Note)]
        self.setAccessibleDescription(" ".join([self.place.text(), self.value.text(), *notes]).strip())

    # --- what the person does

    def _choose(self, part: int) -> None:
        """Show this map of the window; it stays chosen while the window slides over the same map."""
        if found := self._cell():
            self._chosen = (_map_of(found[0]), part)
            self._refresh()

    def _toggle(self) -> None:
        if self.slide.playing:
            self.slide.pause()
        else:
            self.slide.play()
            self._show_playing()

    def _show_playing(self) -> None:
        playing = self.slide.playing
        self.play_button.setText(self.tr("❚❚ Pause") if playing else self.tr("▶ Slide the window"))
        self.play_button.setAccessibleName(self.tr("Pause the window") if playing else self.tr("Slide the window"))

    def _set_speed(self, place: int) -> None:
        self.slide.speed = SLOWEST * (FASTEST / SLOWEST) ** (place / 100)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc lets go."""
        if event.key() == Qt.Key.Key_Escape and self._focus.pinned is not None:
            self.pinned.emit(None)
        else:
            super().keyPressEvent(event)


def _map_of(cell: Cell) -> Cell:
    """The first cell of the same map."""
    return Cell(cell.layer, cell.channel, subject=cell.subject)


def _onward(view: InspectorView, reading: Reading, cell: Cell, cut: bool) -> list[Block]:
    said, reads = goes_on(reading, cell, cut), say_cell(reading, cell).reads
    blocks: list[Block] = [Note(said)] if said else []
    if reads and cell.layer > 1:
        blocks += [Heading(view.tr("back to the drawing")), Note(reads[0].upper() + reads[1:] + ".")]
    return blocks


def _nothing(view: InspectorView) -> str:
    return view.tr(
        "Click any value: a cell of a map, a pixel, a bar, a vote. The arithmetic that made it is spelled out here "
        "and follows the drawing and the training. Esc lets go."
    )

"""Value page: the inspector's page that spells one value out, plays its window, and says what it is worth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QCoreApplication, QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSlider, QVBoxLayout, QWidget

from engine.explain.queries import Answer, Question
from engine.explain.value_arithmetic import place_in
from engine.nn.inference import Reading
from engine.nn.network import Network
from xo_gui.app.theme import Theme
from xo_gui.state.selection import Cell
from xo_gui.views.inspector.sheet import Sheet, SheetArea
from xo_gui.views.inspector.sheet_blocks import Block, ClassBar, ClassBars, Heading, Note, Picture
from xo_gui.views.inspector.value_text import MORE, MOST_RANKS, MOST_WANTED, Spelled, goes_on, spell
from xo_gui.views.inspector.vote_breakdown import given_to_classes, split_up
from xo_gui.views.network.colour_limits import calm
from xo_gui.views.network.value_text import place_words, say_cell
from xo_gui.widgets.buttons import TickBox
from xo_gui.widgets.number_text import fixed

# No timer need be quicker than the screen; faster slides take several cells at a time.
TICK_MS = 33
SLOWEST, FASTEST = 1.0, 400.0


class Slide(QObject):
    """moved(Cell): it went on to this one. stopped(): it came to the end, or was paused."""

    moved = Signal(object)
    stopped = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._network: Network | None = None
        self._cell: Cell | None = None
        self._owed = 0.0
        self.speed = 6.0
        self._timer = QTimer(self, interval=TICK_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def playing(self) -> bool:
        """Whether it goes on by itself."""
        return self._timer.isActive()

    def stand(self, network: Network | None, cell: Cell | None) -> None:
        """Stand here; what moves it on from outside, such as a click, pauses it."""
        if cell != self._cell or network is not self._network:
            if self.playing and (cell is None or network != self._network or cell != self._cell):
                self.pause()
            self._network, self._cell = network, cell

    def play(self) -> None:
        """Go on by itself; from the end, begin anew."""
        if self._network is None or self._cell is None:
            return
        if following(self._network, self._cell) is None:
            self._go(first(self._network, self._cell))
        self._owed = 0.0
        self._timer.start()

    def pause(self) -> None:
        """Stand still."""
        self._timer.stop()
        self.stopped.emit()

    def step(self) -> None:
        """One value on; from the end, begin anew."""
        if self.playing:
            self.pause()
        if self._network is not None and self._cell is not None:
            self._go(following(self._network, self._cell) or first(self._network, self._cell))

    def _tick(self) -> None:
        self._owed += self.speed * TICK_MS / 1000
        cell, network = self._cell, self._network
        while self._owed >= 1 and cell is not None and network is not None:
            self._owed -= 1
            after = following(network, cell)
            if after is None:
                break
            cell = after
        if cell is not None and cell != self._cell:
            self._go(cell)
        if cell is None or network is None or following(network, cell) is None:
            self.pause()

    def _go(self, cell: Cell) -> None:
        self._cell = cell
        self.moved.emit(cell)


def first(network: Network, cell: Cell) -> Cell:
    """Where the map of `cell`, or its list, begins."""
    if len(network.shapes[cell.layer]) == 3:
        return replace(cell, row=0, column=0)
    return replace(cell, channel=0)


def following(network: Network, cell: Cell) -> Cell | None:
    """The next value in reading order on the same map, or in the list; None at the end."""
    shape = network.shapes[cell.layer]
    if len(shape) == 1:
        return replace(cell, channel=cell.channel + 1) if cell.channel + 1 < shape[0] else None
    if cell.column + 1 < shape[2]:
        return replace(cell, column=cell.column + 1)
    return replace(cell, row=cell.row + 1, column=0) if cell.row + 1 < shape[1] else None


# Of so many classes at most it is said what a value is worth to them.
MOST_CLASSES = 10


class ValuePage(QWidget):
    """picked(Cell): a value of the sum was clicked; slid(Cell): the window went on; changed(): it should be shown
    anew, for the person chose something."""

    picked = Signal(object)
    slid = Signal(object)
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chosen: tuple[Cell, int] | None = None
        self._cell: Cell | None = None
        self._most = MOST_RANKS
        self.slide = Slide(self)
        self.slide.moved.connect(self.slid)
        self.slide.stopped.connect(self._show_playing)
        self.sheet = Sheet(self)
        self.sheet.picked.connect(self.picked)
        self.sheet.chosen.connect(self._choose)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(SheetArea(self.sheet))
        column.addLayout(self._play_row())
        self.cut_box = TickBox(self.tr("Cut digits off, as the article does"), self)
        self.cut_box.setToolTip(self.tr("Show 5 ÷ 9 as 0.55 instead of 0.56; only what is shown changes"))
        self.cut_box.toggled.connect(self.changed)
        column.addWidget(self.cut_box)

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
        self.play_button.clicked.connect(self.toggle)
        self.step_button.clicked.connect(self.slide.step)
        row = QHBoxLayout()
        row.setContentsMargins(0, 4, 0, 4)
        for widget in (self.play_button, self.step_button, self.speed):
            row.addWidget(widget)
        self._show_playing()
        return row

    @property
    def cut(self) -> bool:
        """Whether digits are cut off instead of rounded."""
        return self.cut_box.isChecked()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.sheet.set_theme(theme)

    def stand(self, reading: Reading | None, pinned: Cell | None) -> None:
        """This cell is held, or none: from here the window can slide."""
        held = reading is not None and pinned is not None
        self.slide.stand(reading.subject.network if reading and held else None, pinned if held else None)
        for widget in (self.play_button, self.step_button, self.speed):
            widget.setEnabled(held)

    @staticmethod
    def question(reading: Reading, pinned: Cell) -> Question:
        """What the engine has to be asked of the held cell."""
        place = place_in(reading.subject.network, pinned.layer, pinned.channel, pinned.row, pinned.column)
        return Question("worth", pinned.subject, pinned.layer, place)

    def show_cell(self, reading: Reading, cell: Cell, held: bool, answer: Answer | None) -> None:
        """Spell this cell out. held: whether a click holds it; answer: what it is worth, None while not known."""
        if self._cell is None or _map_of(cell) != _map_of(self._cell):
            self._most = MOST_RANKS
        self._cell = cell
        chosen = self._chosen[1] if self._chosen and self._chosen[0] == _map_of(cell) else None
        blocks = spell(Spelled(reading, cell, chosen, self.cut, self._most))
        if said := goes_on(reading, cell, self.cut):
            blocks.append(Note(said))
        if held:
            blocks += self._worth(reading, cell, answer)
        blocks += self._back(reading, cell, answer if held else None)
        self.sheet.show_blocks(blocks, self.cut)

    def show_nothing(self, words: str) -> None:
        """There is no cell to spell out; say what to do."""
        self._cell = None
        self.sheet.show_blocks([Note(words)], self.cut)

    def _back(self, reading: Reading, cell: Cell, answer: Answer | None) -> list[Block]:
        """What of the drawing it read, and what of that mattered."""
        reads = say_cell(reading, cell).reads
        if not reads or cell.layer == 0 or (cell.layer == len(reading.outputs) - 1 and answer is None):
            return []
        said = reads[0].upper() + reads[1:] + "."
        blocks: list[Block] = [Heading(_tr("back to the drawing"))]
        if answer is None or answer.map is None:
            return [*blocks, Note(said)]
        brought = answer.map
        if not brought.any():
            return [*blocks, Note(said + " " + _tr("As it is now, none of these pixels moves it."))]
        row, column = np.unravel_index(np.abs(brought).argmax(), brought.shape)
        most = fixed(float(brought[row, column]), self.cut)
        said += " " + _tr("Strongest: {0} from {1}.").format(most, place_words(int(row), int(column)))
        picture = Picture(_tr("what each pixel brings"), brought, calm(float(np.abs(brought).max())))
        return [*blocks, Note(said), *([picture] if cell.layer > 1 else [])]

    def _worth(self, reading: Reading, cell: Cell, answer: Answer | None) -> list[Block]:
        """What it is worth to each class's score; for a vote, where all of it comes from."""
        network = reading.subject.network
        names = network.classes[:MOST_CLASSES]
        if cell.layer == len(network.layers):
            given = given_to_classes(reading, cell, self.cut)
            return given + (
                split_up(reading, cell, answer, self.cut) if answer is not None and answer.traced else []
            )
        worth = answer.worth if answer is not None and answer.worth else (0.0,) * len(network.classes)
        most = max(map(abs, worth)) or 1.0
        known = answer is not None and bool(answer.worth)
        bars = tuple(
            ClassBar(at, name, fixed(worth[at], self.cut) if known else "…", worth[at] / most)
            for at, name in enumerate(names)
        )
        return [Heading(_tr("what it is worth to the votes' scores")), ClassBars(bars, signed=True)]

    # --- what the person does

    def _choose(self, part: int) -> None:
        """Show this map of the window, which stays chosen while the window slides over the same map; or more of a
        list."""
        if part == MORE:
            self._most = min(4 * self._most, MOST_WANTED)
            self.changed.emit()
        elif self._cell is not None:
            self._chosen = (_map_of(self._cell), part)
            self.changed.emit()

    def toggle(self) -> None:
        """Play, or pause."""
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


def _map_of(cell: Cell) -> Cell:
    """The first cell of the same map."""
    return Cell(cell.layer, cell.channel, subject=cell.subject)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Inspector", text)

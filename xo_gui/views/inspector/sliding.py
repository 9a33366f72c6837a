"""Sliding the window of a value over its map: the animation, and the buttons that play it."""

from __future__ import annotations

import math
from dataclasses import replace

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QPushButton, QSlider, QWidget

from engine.nn import Network
from xo_gui.state import CellRef
from xo_gui.widgets import WrappingRow

# Milliseconds between two timer ticks: a faster animation skips values.
TICK_MS = 33
SLOWEST, FASTEST = 1.0, 400.0  # values per second


class SlidingControls(WrappingRow):
    """Buttons that play the animation or step it, and a slider for its speed."""

    def __init__(self, parent: QWidget) -> None:
        self.animation = WindowAnimation()
        self.play_button, self.step_button = QPushButton(), QPushButton()
        self.speed_slider = QSlider(Qt.Orientation.Horizontal)
        super().__init__((self.play_button, self.step_button, self.speed_slider), parent)
        self.animation.setParent(self)
        self.animation.stopped.connect(self._show_playing)
        self.step_button.setText(self.tr("Step"))
        self.speed_slider.setRange(0, 100)
        self.speed_slider.setValue(
            round(100 * math.log(self.animation.speed / SLOWEST) / math.log(FASTEST / SLOWEST))
        )
        self.speed_slider.setAccessibleName(self.tr("Speed of the sliding window"))
        self.speed_slider.setToolTip(self.tr("How many values per second the window moves on"))
        self.speed_slider.valueChanged.connect(self._set_speed)
        self.play_button.setToolTip(self.tr("Slide the window over its map, value by value"))
        self.step_button.setToolTip(self.tr("Move on by one value"))
        self.step_button.setAccessibleName(self.tr("Step the window"))
        self.play_button.clicked.connect(self.toggle_playing)
        self.step_button.clicked.connect(self.step)
        self._show_playing()

    def set_position(self, network: Network | None, cell: CellRef | None) -> None:
        """Set the current cell; without one, nothing can be played."""
        self.animation.set_position(network, cell)
        for widget in (self.play_button, self.step_button, self.speed_slider):
            widget.setEnabled(cell is not None)

    def toggle_playing(self) -> None:
        if self.animation.is_playing:
            self.animation.pause()
        else:
            self.animation.play()
            self._show_playing()

    def step(self) -> None:
        """Move on by one value."""
        self.animation.advance()

    def _show_playing(self) -> None:
        playing = self.animation.is_playing
        self.play_button.setText(self.tr("❚❚ Pause") if playing else self.tr("▶ Slide the window"))
        self.play_button.setAccessibleName(self.tr("Pause the window") if playing else self.tr("Slide the window"))

    def _set_speed(self, position: int) -> None:
        self.animation.speed = SLOWEST * (FASTEST / SLOWEST) ** (position / 100)


class WindowAnimation(QObject):
    """Slides the window over one map, value by value.

    Signals: moved(Cell); stopped(), at the end of the map or when paused.
    """

    moved = Signal(object)
    stopped = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._network: Network | None = None
        self._cell: CellRef | None = None
        self._pending_steps = 0.0
        self.speed = 6.0
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def is_playing(self) -> bool:
        return self._timer.isActive()

    def set_position(self, network: Network | None, cell: CellRef | None) -> None:
        """Set the current cell; a change from outside, such as a click, pauses the animation."""
        if cell != self._cell or network is not self._network:
            if self.is_playing and (cell is None or network != self._network or cell != self._cell):
                self.pause()
            self._network, self._cell = network, cell

    def play(self) -> None:
        """Start the animation, at the end of the map from its first value."""
        if self._network is None or self._cell is None:
            return
        if next_cell(self._network, self._cell) is None:
            self._move_to(first_cell(self._network, self._cell))
        self._pending_steps = 0.0
        self._timer.start()

    def pause(self) -> None:
        self._timer.stop()
        self.stopped.emit()

    def advance(self) -> None:
        """Move on by one value, at the end of the map to its first."""
        if self.is_playing:
            self.pause()
        if self._network is not None and self._cell is not None:
            self._move_to(next_cell(self._network, self._cell) or first_cell(self._network, self._cell))

    def _tick(self) -> None:
        self._pending_steps += self.speed * TICK_MS / 1000
        cell, network = self._cell, self._network
        while self._pending_steps >= 1 and cell is not None and network is not None:
            self._pending_steps -= 1
            after = next_cell(network, cell)
            if after is None:
                break
            cell = after
        if cell is not None and cell != self._cell:
            self._move_to(cell)
        if cell is None or network is None or next_cell(network, cell) is None:
            self.pause()

    def _move_to(self, cell: CellRef) -> None:
        self._cell = cell
        self.moved.emit(cell)


def first_cell(network: Network, cell: CellRef) -> CellRef:
    """The first value of the map or list that holds `cell`."""
    if len(network.shapes[cell.layer]) == 3:
        return replace(cell, row=0, column=0)
    return replace(cell, channel=0)


def next_cell(network: Network, cell: CellRef) -> CellRef | None:
    """The next value of the map in row-major order, or of the list; None at the end."""
    shape = network.shapes[cell.layer]
    if len(shape) == 1:
        return replace(cell, channel=cell.channel + 1) if cell.channel + 1 < shape[0] else None
    if cell.column + 1 < shape[2]:
        return replace(cell, column=cell.column + 1)
    return replace(cell, row=cell.row + 1, column=0) if cell.row + 1 < shape[1] else None

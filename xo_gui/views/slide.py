"""Slide: moves from value to value over a map, as a feature's window does, with play, pause, step and speed.

It knows where it goes next and when; it shows nothing.
"""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, QTimer, Signal

from engine.nn.network import Network
from xo_gui.state.selection import Cell

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

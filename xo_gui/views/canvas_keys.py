"""The canvas's keys: which are its own, and where they have moved its pen. It neither draws nor paints."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QKeySequence

Place = tuple[float, float]

_STEPS: Final = 32  # from side to side of a smooth canvas
_FAR: Final = 4
_MOVES: Final = {
    Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1),
    Qt.Key.Key_Home: (-1, -1), Qt.Key.Key_PageUp: (1, -1), Qt.Key.Key_End: (-1, 1), Qt.Key.Key_PageDown: (1, 1),
}  # fmt: skip
_OWN: Final = (Qt.Key.Key_Space, Qt.Key.Key_E, Qt.Key.Key_P, Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
_COMMANDS: Final = (
    Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
)


def is_taking_back(event: QKeyEvent) -> bool:
    """Whether this key takes a stroke under way back; undo would else take the one before with it."""
    return event.key() == Qt.Key.Key_Escape or event.matches(QKeySequence.StandardKey.Undo)


def is_own(event: QKeyEvent, stroke_under_way: bool) -> bool:
    """Whether the canvas answers this key; what it leaves goes to the window."""
    if event.text() in ("[", "]"):  # on some keyboards AltGr writes them, which looks like a command
        return True
    if is_taking_back(event):
        return stroke_under_way
    if event.modifiers() & _COMMANDS:
        return False
    return event.key() in _OWN or event.key() in _MOVES


class KeyPen:
    """The pen that the arrow keys move; Home, End, Page Up and Page Down move it slantwise, Shift further.

    place: in frame units; None while the keys are not in use.
    """

    def __init__(self) -> None:
        """Not in use."""
        self.place: Place | None = None

    def take(self, grid: int) -> Place:
        """Where it is; at first in the middle, of a cell if there are cells (grid above 0)."""
        if self.place is None:
            middle = (grid // 2 + 0.5) / grid if grid else 0.5
            self.place = middle, middle
        return self.place

    def move(self, event: QKeyEvent, grid: int) -> bool:
        """Go where the key says, within the frame. False if it is no such key."""
        if event.key() not in _MOVES:
            return False
        right, down = _MOVES[Qt.Key(event.key())]
        far = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        step = (_FAR if far else 1) / (grid or _STEPS)
        edge = 0.5 / grid if grid else 0.0
        x, y = self.take(grid)
        self.place = min(max(x + right * step, edge), 1 - edge), min(max(y + down * step, edge), 1 - edge)
        return True

"""Compare names: the letters of the compared rows, by which each is folded and opened. They know no values."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QToolButton, QWidget

from xo_gui.app.theme import SMALL_PX, font
from xo_gui.views.compare_rows import Row
from xo_gui.views.compare_words import BOTH, LETTERS

_WIDTHS = (36, 36, 68)


class RowNames(QObject):
    """A button for each row on `parent`, checked while its row is open. folding: a row was folded, or opened."""

    folding = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._shown = False
        self.buttons: list[QToolButton] = []
        for letter in (*LETTERS, BOTH):
            button = QToolButton(parent)
            button.setText(letter)
            button.setCheckable(True)
            button.setChecked(True)
            button.setArrowType(Qt.ArrowType.DownArrow)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setFont(font(SMALL_PX + 1, strong=True))
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setToolTip(self.tr("Fold this row, to give the others its room, or open it"))
            button.setAccessibleName(self.tr("Show the row {0}").format(letter))
            button.setStyleSheet(
                "QToolButton { padding: 0 1px; background: transparent; border: 1px solid transparent; }"
                "QToolButton:focus { border: 1px solid palette(highlight); }"
            )
            button.toggled.connect(self._toggled)
            button.hide()
            self.buttons.append(button)

    @property
    def folded(self) -> frozenset[int]:
        """The rows that are."""
        return frozenset(at for at, button in enumerate(self.buttons) if not button.isChecked())

    def setVisible(self, shown: bool) -> None:
        """Whether there are rows."""
        self._shown = shown
        for button in self.buttons:
            button.setVisible(shown)

    def place(self, rows: Sequence[Row], top: float, differing: bool) -> None:
        """Where the rows' names are; above `top` none is seen. differing: whether the third has what can fold."""
        for at, (row, button) in enumerate(zip(rows, self.buttons, strict=True)):
            button.setGeometry(int(row.name.x) - 4, int(row.name.y), _WIDTHS[at], int(row.name.height))
            button.setVisible(self._shown and row.name.y >= top)
            button.setEnabled(at < 2 or differing)

    def right(self, at: int) -> float:
        """Where a row's letter ends."""
        return self.buttons[at].geometry().right()

    def _toggled(self) -> None:
        for button in self.buttons:
            button.setArrowType(Qt.ArrowType.DownArrow if button.isChecked() else Qt.ArrowType.RightArrow)
        self.folding.emit()

"""Compact button: a button that asks for no more width than its words, and says its tip in the status bar too."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QPushButton, QWidget

from xo_gui.app.theme import SMALL_PX, font


class CompactButton(QPushButton):
    """act: what a click does. padding: above and beside the words, in pixels. small: in the small letters."""

    def __init__(
        self,
        text: str,
        tip: str,
        act: Callable[[], object],
        parent: QWidget,
        padding: tuple[int, int] = (5, 8),
        small: bool = False,
    ) -> None:
        super().__init__(text, parent)
        self.setToolTip(tip)
        self.setStatusTip(tip)
        self.clicked.connect(act)
        style = f"padding: {padding[0]}px {padding[1]}px; min-width: 10px"
        if small:
            self.setFont(font(SMALL_PX))
            style += f"; font-size: {SMALL_PX}px"
        self.setStyleSheet(style)

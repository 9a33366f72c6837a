"""Compare start: what the compare view shows while there is nothing to compare: what it is for, and the buttons by
which to begin. It only wishes."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.documents.presets import PRESETS
from xo_gui.app.theme import LARGE_PX, font
from xo_gui.state.commands import CompareWithFile, CompareWithPreset, CompareWithThis, Wish


class CompareStart(QWidget):
    """wished(wish): what the network is to be compared with."""

    wished = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.buttons: list[QPushButton] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        title = QLabel(self.tr("Compare two networks on your drawing"), self)
        title.setFont(font(LARGE_PX, strong=True))
        words = QLabel(
            self.tr(
                "Both read what you draw; their maps stand one below the other, and under them the difference of "
                "every value. Compare with another network, or hold this one as it is now, and train on: you see "
                "what the training changes."
            ),
            self,
        )
        words.setWordWrap(True)
        for label in (title, words):
            column.addWidget(label)
        column.addLayout(self._row(self.tr("Compare with"), [
            (known.title, self.tr("Let the {0} network read the drawing, too").format(known.title),
             CompareWithPreset(known.name)) for known in PRESETS.values()
        ] + [(self.tr("A model file…"), self.tr("Let the network of a file read the drawing, too"),
              CompareWithFile())]))  # fmt: skip
        tip = self.tr("Hold the network as it is now, or at the moment looked at, and see what becomes of it")
        column.addLayout(self._row(self.tr("or hold"), [(self.tr("This moment"), tip, CompareWithThis())]))
        column.addStretch()

    def _row(self, said: str, choices: list[tuple[str, str, Wish]]) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        label = QLabel(said, self)
        label.setMinimumWidth(94)
        row.addWidget(label)
        for text, tip, wish in choices:
            button = QPushButton(text, self)
            button.setToolTip(tip)
            button.setStatusTip(tip)
            button.setAccessibleName(f"{said} {text}")
            button.setProperty("wish", wish)
            button.clicked.connect(self._clicked)
            row.addWidget(button)
            self.buttons.append(button)
        row.addStretch()
        return row

    def _clicked(self) -> None:
        button = self.sender()
        if isinstance(button, QPushButton):
            self.wished.emit(button.property("wish"))

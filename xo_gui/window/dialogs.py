"""The small dialogs of the menus: keys and mouse, about, and the seed of a new run."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import version
from itertools import groupby

from PySide6.QtCore import Qt, Signal, qVersion
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from engine.form_fields import FormField
from xo_gui.app import LARGE_PX, font, translate
from xo_gui.log import log_folder
from xo_gui.widgets import NumberEdit
from xo_gui.window.actions import PanelKey

MAX_SEED = 999_999
LEAST_LIST = 240  # pixels of the list of keys that are seen at once


def show_keys(parent: QWidget, rows: Iterable[PanelKey]) -> None:
    """Open the list of keys and mouse buttons: two columns, which scroll if the screen is small."""
    dialog, layout = _dialog(parent, translate("About", "Keys and mouse"))
    groups = {where: list(group) for where, group in groupby(rows, lambda row: row.where)}
    total, listed = sum(len(group) + 1 for group in groups.values()), 0
    content, columns = QWidget(), (QGridLayout(), QGridLayout())
    box = QHBoxLayout(content)
    box.setContentsMargins(0, 0, 16, 0)
    box.setSpacing(40)
    for where, group in groups.items():
        grid = columns[2 * listed >= total]
        grid.addWidget(_heading_of_keys(where), grid.rowCount(), 0, 1, 2)
        for row in group:
            at = grid.rowCount()
            grid.addWidget(QLabel(row.keys), at, 0)
            grid.addWidget(QLabel(row.meaning), at, 1)
        listed += len(group) + 1
    for grid in columns:
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(4)
        grid.setRowStretch(grid.rowCount(), 1)
        grid.setColumnStretch(1, 1)
        box.addLayout(grid)
    area = QScrollArea(dialog)
    area.setAccessibleName(dialog.windowTitle())
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setWidget(content)
    area.viewport().setAutoFillBackground(False)
    content.setAutoFillBackground(False)
    area.setMinimumSize(content.sizeHint().width() + area.verticalScrollBar().sizeHint().width(), LEAST_LIST)
    text = translate(
        "About",
        "Keys of a panel act while it has the focus, single letters while the canvas has it: click it once.",
    )
    layout.insertWidget(1, area)
    layout.insertWidget(2, QLabel(text))
    height = content.sizeHint().height() + dialog.sizeHint().height() - max(area.sizeHint().height(), LEAST_LIST)
    dialog.resize(dialog.sizeHint().width(), min(height, parent.height()))
    dialog.open()


def _heading_of_keys(text: str) -> QLabel:
    label = QLabel(text)
    label.setFont(font(strong=True))
    label.setContentsMargins(0, 8, 0, 0)
    return label


def show_about(parent: QWidget, device: str) -> None:
    """Open the about dialog: version, licences, device and the folder of the log, as text that can be copied."""
    dialog, layout = _dialog(parent, f"XO {version('xo-gui')}")
    lines = (
        translate("About", "See how a convolutional neural network recognizes what you draw."),
        translate("About", "After Brandon Rohrer's article “How do Convolutional Neural Networks work?”."),
        "",
        f"Python {platform.python_version()}, Qt {qVersion()}, NumPy {version('numpy')}",
        translate("About", "Device: {0}").format(device),
        translate("About", "Log: {0}").format(log_folder()),
        "",
        translate("About", "MIT licence. Qt for Python is under the LGPL, the font Inter under the OFL."),
    )
    text = QLabel("\n".join(lines))
    text.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    layout.insertWidget(1, text)
    dialog.open()


def _dialog(parent: QWidget, title: str) -> tuple[QDialog, QVBoxLayout]:
    """A dialog with a heading and a Close button, deleted when closed."""
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle(title)
    heading = QLabel(title)
    heading.setFont(font(LARGE_PX, strong=True))
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.close)
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(24, 20, 24, 16)
    layout.setSpacing(14)
    layout.addWidget(heading)
    layout.addWidget(buttons)
    return dialog, layout


class SeedDialog(QDialog):
    """Asks for the seed of a new run, blocking nothing. chosen(seed): it was confirmed."""

    chosen = Signal(int)

    def __init__(self, seed: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("New seed"))
        name = self.tr("Seed of the initial weights, the drawings and their order")
        self.box = NumberEdit(FormField(name, "", 1), True, self, limits=(0, MAX_SEED))
        self.box.show_number(seed)
        self.box.selectAll()
        self.box.chosen.connect(self.box.show_number)
        self.box.returnPressed.connect(self.accept)
        self.message_label = QLabel(self)
        self.box.rejected.connect(self.message_label.setText)
        choices = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(choices.Ok | choices.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (QLabel(name), self.box, self.message_label, buttons):
            layout.addWidget(widget)

    def accept(self) -> None:
        """Confirm the seed, unless what is typed is none: then it stays open and says why."""
        if self.box.finish() and self.box.value is not None:
            self.chosen.emit(int(self.box.value))
            super().accept()

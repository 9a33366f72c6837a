"""About: the two windows of the Help menu. They only tell."""

from __future__ import annotations

import platform
from importlib.metadata import version

from PySide6.QtCore import QCoreApplication, Qt, qVersion
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from xo_gui.app.process import log_folder
from xo_gui.app.theme import LARGE_PX, font

KEYS = (
    ("Left button", "draw, or erase with the eraser"),
    ("Right button, pen's other end", "erase"),
    ("P, E", "pen, eraser"),
    ("[ ]", "thinner pen, thicker pen"),
    ("Del", "clear the canvas"),
    ("X, O, N", "save the drawing as an X, an O or neither, to learn from"),
    ("Arrows, Space", "move the pen by keyboard, set it down or lift it"),
    ("Esc", "give up the stroke under way"),
    ("Click on a value, Enter", "in the network: see the arithmetic that made it; Esc lets go"),
    ("Ctrl+I, Ctrl+Space, Ctrl+.", "the inspector; its window slides, or takes one step"),
    ("Ctrl+Shift+I", "what the held feature or vote likes"),
    ("F", "in the network: fold a ReLU into the column before it, or unfold it"),
    ("Double click, Space", "in the network: a map large, with its numbers; the wheel enlarges, Esc goes back"),
    ("Page Up, Page Down", "in the network: the maps of a layer before, or after, those shown"),
    ("A, B", "where two networks are compared: the same value of the first, or of the second"),
    ("Ctrl+H, Ctrl+Shift+W, Ctrl+Shift+H", "compare with this moment, swap the two, stop comparing"),
    ("Ctrl+F", "find a layer of the network by its name, kind or number"),
    ("Ctrl+Z, Ctrl+Shift+Z", "undo, redo"),
    ("Ctrl+V", "make a copied picture the drawing"),
    ("Ctrl+1, Ctrl+2", "default network, walk-through"),
    ("Ctrl+Page down, Ctrl+Page up", "network, one step of its training"),
)


def tr(text: str) -> str:
    """`text` in the user's language."""
    return QCoreApplication.translate("About", text)


def show_keys(parent: QWidget) -> None:
    """Open a list of keys and buttons."""
    dialog, layout = _dialog(parent, tr("Keys and mouse"))
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    for row, (keys, meaning) in enumerate(KEYS):
        shown = QLabel(tr(keys))
        shown.setFont(font(strong=True))
        grid.addWidget(shown, row, 0)
        grid.addWidget(QLabel(tr(meaning)), row, 1)
    note = QLabel(tr("Letters and arrows are the canvas's while it has the focus: click it once."))
    layout.insertLayout(1, grid)
    layout.insertWidget(2, note)
    dialog.open()


def show_about(parent: QWidget, device: str) -> None:
    """Open version, licences, device and the folder of the log; the text can be copied."""
    dialog, layout = _dialog(parent, f"XO {version('xo-gui')}")
    lines = (
        tr("See how a convolutional neural network reads what you draw."),
        tr("After Brandon Rohrer's article “How do Convolutional Neural Networks work?”."),
        "",
        f"Python {platform.python_version()}, Qt {qVersion()}, NumPy {version('numpy')}",
        tr("Device: {0}").format(device),
        tr("Log: {0}").format(log_folder()),
        "",
        tr("MIT licence. Qt for Python is under the LGPL, the font Inter under the OFL."),
    )
    text = QLabel("\n".join(lines))
    text.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    layout.insertWidget(1, text)
    dialog.open()


def _dialog(parent: QWidget, title: str) -> tuple[QDialog, QVBoxLayout]:
    """An empty dialog with a heading and a Close button, gone when closed."""
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

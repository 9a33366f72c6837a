"""The two dialogs of the Help menu: keys and mouse, and about."""

from __future__ import annotations

import platform
from importlib.metadata import version

from PySide6.QtCore import Qt, qVersion
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from xo_gui.app import LARGE_PX, font, translate
from xo_gui.log import log_folder

KEYS = (
    ("Left button", "draw, or erase with the eraser"),
    ("Right button, eraser end of a pen", "erase"),
    ("P, E", "pen, eraser"),
    ("[ ]", "thinner pen, thicker pen"),
    ("Del", "clear the canvas"),
    ("Letter of a class, N", "add the drawing to the training data as one of the class, or as neither"),
    ("Arrows, Space", "move the pen by keyboard, lower or lift it"),
    ("Esc", "cancel the stroke"),
    ("Click on a value, Enter", "in the network: pin it and see the arithmetic that made it; Esc deselects"),
    ("Ctrl+I, Ctrl+Space, Ctrl+.", "the inspector; slide its window, or move it by one step"),
    ("Ctrl+Shift+I", "maximally activating input of the pinned feature map or vote"),
    ("F", "in the network: fold a ReLU into the column before it, or unfold it"),
    ("Double click, Space", "in the network: enlarge a map and show its numbers; the wheel zooms, Esc closes"),
    ("Page Up, Page Down", "in the network: the previous or the next maps of a layer"),
    ("A, B", "in a comparison: the same value of the first, or of the second network"),
    ("Ctrl+H, Ctrl+Shift+W, Ctrl+Shift+H", "compare with a copy of these weights, swap the two, stop comparing"),
    ("Ctrl+F", "find a layer of the network by its name, kind or number"),
    ("Ctrl+Z, Ctrl+Shift+Z", "undo, redo"),
    ("Ctrl+V", "paste a picture as the drawing"),
    ("Ctrl+J, Ctrl+K", "invert or crop the picture; while cropping arrows, Shift+arrows, Enter and Esc"),
    ("Ctrl+1, Ctrl+2", "default network, walk-through"),
    ("Ctrl+Page down, Ctrl+Page up", "next, previous tab: network, comparison, one training step"),
)


def show_keys(parent: QWidget) -> None:
    """Open the list of keys and mouse buttons."""
    dialog, layout = _dialog(parent, translate("About", "Keys and mouse"))
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    for row, (keys, meaning) in enumerate(KEYS):
        label = QLabel(translate("About", keys))
        label.setFont(font(strong=True))
        grid.addWidget(label, row, 0)
        grid.addWidget(QLabel(translate("About", meaning)), row, 1)
    note = QLabel(
        translate("About", "Single letters and arrows act on the canvas while it has the focus: click it once.")
    )
    layout.insertLayout(1, grid)
    layout.insertWidget(2, note)
    dialog.open()


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

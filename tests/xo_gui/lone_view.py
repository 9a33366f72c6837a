"""The network view without a window, for tests of what it shows."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from xo_gui.app import theme
from xo_gui.views.network import NetworkView


def exposed(qtbot: QtBot, width: int, height: int) -> NetworkView:
    theme.load_fonts()
    made = NetworkView()
    qtbot.addWidget(made)
    made.resize(width, height)
    made.show()
    qtbot.waitExposed(made)
    return made

"""Tests of the status bar's facts."""

from __future__ import annotations

from PySide6.QtWidgets import QMainWindow
from pytestqt.qtbot import QtBot

from xo_gui.window.status_bar import StatusBar


def test_a_fact_that_is_too_long_is_elided_and_whole_in_its_tooltip(qtbot: QtBot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    bar = StatusBar(window)
    window.setStatusBar(bar)
    fact = bar.add_fact("Network", "The network in use")
    name = "a network with a name of many letters, " * 4 + "the last"
    fact.setText(name)
    assert bar.minimumSizeHint().width() < 900
    beginning, end = fact.text().split("…")
    assert name.startswith(beginning)
    assert name.endswith(end)
    assert name in fact.toolTip()
    fact.setText("Default")
    assert (fact.text(), fact.toolTip()) == ("Default", "The network in use")

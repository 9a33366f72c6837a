"""Tests of the painted sheet of the inspector."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot

from xo_gui.views.inspector.sheet import Sheet
from xo_gui.views.inspector.sheet_blocks import RankedList, RankedRow


def test_the_tooltip_of_a_text_that_is_cut_is_the_whole_text(qtbot: QtBot) -> None:
    sheet = Sheet()
    qtbot.addWidget(sheet)
    sheet.setFixedWidth(170)
    factors = "11.0532000000 × −.3307160000"
    sheet.set_blocks([RankedList((RankedRow("value 23", factors, "−3.6555", -0.5),))], False)
    sheet.show()
    sheet.grab()
    where = QPointF(80, sheet.height() / 2).toPoint()
    QApplication.sendEvent(sheet, QHelpEvent(QEvent.Type.ToolTip, where, sheet.mapToGlobal(where)))
    assert QToolTip.text() == factors
    sheet.setFixedWidth(500)
    sheet.grab()
    assert sheet.elided_text_at(QPointF(where)) == ""
    QToolTip.hideText()

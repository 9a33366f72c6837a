"""The weight editor alone: what is painted is what is clicked."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from xo_gui.app import theme
from xo_gui.views.inspector.weight_editor import WeightEditor


@pytest.mark.parametrize("side", [3, 5, 8, 14])
def test_click_on_a_painted_cell_paints_that_cell(qtbot: QtBot, side: int) -> None:
    theme.load_fonts()
    editor = WeightEditor()
    qtbot.addWidget(editor)
    editor.resize(268, 300)
    place = side - 1, side - 2
    weights = np.zeros((side, side), np.float32)
    editor.set_weights("all of the title", weights, 1.0)
    editor.show()
    blank = editor.grab().toImage()
    weights[place] = 1.0
    editor.set_weights("all of the title", weights, 1.0)
    image = editor.grab().toImage()
    changed = [
        (x, y)
        for y in range(image.height())
        for x in range(image.width())
        if image.pixel(x, y) != blank.pixel(x, y)
    ]
    middle = QPoint(*(round(float(np.mean(axis))) for axis in zip(*changed, strict=True)))
    painted: list[tuple[int, int, int]] = []
    editor.weight_painted.connect(lambda *cell: painted.append(cell))
    QTest.mouseClick(editor, Qt.MouseButton.LeftButton, pos=middle)
    assert painted == [(*place, 1)]

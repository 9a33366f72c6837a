"""A row of buttons: none is cut or lies over another, however narrow it is."""

from __future__ import annotations

from itertools import combinations

from PySide6.QtWidgets import QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from xo_gui.widgets import CompactButton, WrappingRow


def test_what_does_not_fit_goes_on_on_another_line(qtbot: QtBot) -> None:
    box = QWidget()
    qtbot.addWidget(box)
    buttons = [CompactButton(text, "", lambda: None, box) for text in ("Step", "Epoch", "Restart from there")]
    column = QVBoxLayout(box)
    column.setContentsMargins(0, 0, 0, 0)
    column.addWidget(WrappingRow(buttons, box))
    column.addStretch()
    box.show()
    widest = buttons[2].sizeHint().width()
    for width, lines in ((600, 1), (widest + 20, 2), (widest, 2)):
        box.resize(width, 200)
        qtbot.waitUntil(lambda wide=width: box.width() == wide)
        places = [button.geometry() for button in buttons]
        assert len({place.y() for place in places}) == lines
        assert not any(one.intersects(other) for one, other in combinations(places, 2))
        for button, place in zip(buttons, places, strict=True):
            assert place.width() >= button.sizeHint().width()
            assert place.right() < width
            assert place.bottom() < button.parentWidget().height()
    buttons[0].hide()
    qtbot.waitUntil(lambda: buttons[1].x() == 0)

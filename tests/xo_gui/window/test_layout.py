"""Nothing lies over anything and no text is cut off: in every screen of the window, at several widths and scales,
and in a language whose words are 40 % longer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QRect
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QTabBar, QWidget
from pytestqt.qtbot import QtBot

from tests.conftest import Effort
from tests.xo_gui.conftest import X_ARMS, Hand
from tests.xo_gui.window.layout_faults import TextRecorder, faults_in, longer
from tests.xo_gui.window.layout_screens import SCREENS
from xo_gui.state import CellRef
from xo_gui.window import MainWindow

ROOT = Path(__file__).parents[3]
WIDTHS, SCALES, LANGUAGES = (900, 1024, 1280, 1920), ("1", "1.5", "2"), ("plain", "longer")


def visits(at: int, whole: bool) -> list[tuple[str, str, list[int]]]:
    """The visits with the scale of this index: all of them, or so many that with the other scales each screen is
    shown in each width, scale and language, and each two of those occur together."""
    if whole:
        return [(language, screen, list(WIDTHS)) for language in LANGUAGES for screen in SCREENS]
    chosen = []
    for number, screen in enumerate(SCREENS):
        widths = [WIDTHS[(number + at) % 4]]
        if at == number % 3:
            widths.append(WIDTHS[(number + 3) % 4])
        chosen.append((LANGUAGES[(number // 4 + at) % 2], screen, widths))
    return chosen


def test_the_visits_of_a_run_pair_everything() -> None:
    every = [
        (scale, language, screen, width)
        for at, scale in enumerate(SCALES)
        for language, screen, widths in visits(at, whole=False)
        for width in widths
    ]
    values = (SCALES, LANGUAGES, tuple(SCREENS), WIDTHS)
    for one in range(4):
        for other in range(one + 1, 4):
            pairs = {(visit[one], visit[other]) for visit in every}
            assert len(pairs) == len(values[one]) * len(values[other])


@pytest.mark.parametrize("scale", SCALES)
def test_nothing_lies_over_anything_and_no_text_is_cut(effort: Effort, scale: str) -> None:
    plan = json.dumps(visits(SCALES.index(scale), whole=bool(effort(0, 1))))
    result = subprocess.run(
        [sys.executable, "-m", "tests.xo_gui.window.layout_screens", plan],
        cwd=ROOT,
        env={**os.environ, "QT_SCALE_FACTOR": scale},
        capture_output=True,
        text=True,
        check=False,
    )
    *faults, last = result.stdout.splitlines() or [""]
    assert last == "done", result.stderr
    assert not faults, "\n".join(faults)


# --- what the search for faults finds


def found_in(qtbot: QtBot, widget: QWidget) -> str:
    qtbot.addWidget(widget)
    widget.resize(200, 60)
    widget.show()
    qtbot.waitExposed(widget)
    with TextRecorder() as recorder:
        recorder.look_at(widget)
        return "\n".join(faults_in(widget, recorder))


def placed(widget: QWidget, *place: int) -> None:
    widget.setGeometry(QRect(*place))


def test_what_overlaps_or_is_cut_is_found(qtbot: QtBot) -> None:
    box = QWidget()
    placed(QLabel("one", box), 0, 0, 50, 20)
    placed(QLabel("two", box), 40, 10, 50, 20)
    placed(QLabel("a text that is longer than its label", box), 100, 0, 50, 20)
    placed(QPushButton("a longer text", box), 100, 30, 40, 25)
    placed(QLabel("outside", box), 180, 30, 50, 20)
    faults = found_in(qtbot, box)
    for part in ("'one' (0 0 50 x 20) and QLabel 'two'", "'a text that", "'a longer text' needs", "reaches out"):
        assert part in faults
    assert len(faults.splitlines()) == 4


def test_what_lies_under_tabs_is_found(qtbot: QtBot) -> None:
    box = QWidget()
    page, tabs = QWidget(box), QTabBar(box)
    tabs.addTab("first")
    placed(page, 0, 0, 200, 60)
    placed(QPushButton("under", page), 10, 0, 80, 24)
    placed(QPushButton("beside", page), 120, 0, 80, 24)
    placed(tabs, 0, 0, 100, 24)
    assert "'under' lies under the tabs" in found_in(qtbot, box)
    assert "'beside'" not in found_in(qtbot, box)


class Painted(QWidget):
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawText(10, 20, "first text")
        painter.drawText(30, 22, "second text")
        painter.drawText(QRect(100, 30, 20, 20), 0, "third text")
        painter.end()


def test_painted_texts_that_overlap_or_are_cut_are_found(qtbot: QtBot) -> None:
    faults = found_in(qtbot, Painted())
    assert "paints 'first text'" in faults
    assert "over 'second text'" in faults
    assert "off the text 'third text'" in faults


def test_a_row_that_fits_has_no_fault(qtbot: QtBot) -> None:
    box = QWidget()
    row = QHBoxLayout(box)
    row.addWidget(QLabel("label"))
    row.addWidget(QPushButton("button"))
    assert not found_in(qtbot, box)


def test_the_longer_language_keeps_what_is_filled_in() -> None:
    assert longer("feature") == "feaatuure"
    for text in ("Train from scratch", "Continue training from the last step of the selected branch"):
        assert 1.3 < len(longer(text)) / len(text) < 1.5


def test_legends_of_narrow_columns_keep_off_each_other(window: MainWindow, hand: Hand, qtbot: QtBot) -> None:
    """With the inspector open the columns of the default network get as narrow as they are with ReLU unfolded."""
    hand.draw(X_ARMS)
    window.session.pin(CellRef(len(window.session.document.models[0].network.layers), 0))
    with TextRecorder() as recorder:
        for width in range(1280, 1700, 40):
            window.resize(width, 900)
            qtbot.wait(20)
            recorder.look_at(window)
            faults = [one for one in faults_in(window.network_view, recorder) if "paints" in one]
            assert not faults, f"{width}: {faults}"

"""A fault in a method that Qt calls is reported once; its caller goes on, and Qt gets its own class's answer."""

from __future__ import annotations

import sys

import pytest
from PySide6.QtCore import QAbstractListModel, QEvent, QModelIndex, QObject, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPixmap, QResizeEvent
from PySide6.QtWidgets import QGraphicsItem, QLabel, QListView, QStyledItemDelegate, QVBoxLayout, QWidget

from tests.xo_gui.app.test_start import run_with_fault
from xo_gui.app import guard_overrides

ROOM = QSize(160, 120)


class FaultyPanel(QLabel):
    __module__ = "planted"

    def sizeHint(self) -> QSize:
        raise RuntimeError("planted in sizeHint")

    def resizeEvent(self, event: QResizeEvent) -> None:
        raise RuntimeError("planted in resizeEvent")

    def showEvent(self, event: QEvent) -> None:
        raise RuntimeError("planted in showEvent")

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        raise RuntimeError("planted in eventFilter")

    def paintEvent(self, event: QEvent) -> None:
        with QPainter(self):
            raise RuntimeError("planted in paintEvent")


class FaultyModel(QAbstractListModel):
    __module__ = "planted"

    def rowCount(self, parent: QModelIndex) -> int:
        if parent.isValid():
            raise RuntimeError("planted in rowCount")
        return 3

    def data(self, index: QModelIndex, role: int) -> str | None:
        raise RuntimeError("planted in data")


class FaultyDelegate(QStyledItemDelegate):
    __module__ = "planted"

    def paint(self, painter: QPainter, option: object, index: QModelIndex) -> None:
        raise RuntimeError("planted in paint")


class FaultyItem(QGraphicsItem):
    __module__ = "planted"

    def boundingRect(self) -> QRectF:
        raise RuntimeError("planted in boundingRect")


@pytest.mark.qt_no_exception_capture
def test_a_fault_in_what_qt_calls_is_reported_and_does_not_break_its_caller(qtbot, monkeypatch) -> None:
    reported: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: reported.append(str(error)))
    guard_overrides("planted")
    window = QWidget()
    qtbot.addWidget(window)
    panel, layout, view, model, delegate = (
        FaultyPanel("text"),
        QVBoxLayout(window),
        QListView(),
        FaultyModel(),
        FaultyDelegate(),
    )
    view.setModel(model)
    view.setItemDelegate(delegate)
    for widget in (panel, view):
        layout.addWidget(widget)
    window.installEventFilter(panel)
    window.resize(ROOM)
    window.show()
    assert panel.sizeHint() == QLabel("text").sizeHint()
    assert model.rowCount(model.index(0, 0)) == 0
    assert model.data(model.index(0, 0), Qt.ItemDataRole.DisplayRole) is None
    assert FaultyItem().boundingRect() == QRectF()
    for _ in range(2):
        assert not window.grab().isNull()
    assert "planted in data" in reported
    window.removeEventFilter(panel)
    methods = {
        "sizeHint",
        "resizeEvent",
        "showEvent",
        "eventFilter",
        "paintEvent",
        "rowCount",
        "data",
        "boundingRect",
    }
    assert {text.removeprefix("planted in ") for text in reported} == {*methods, "paint"}


@pytest.mark.qt_no_exception_capture
def test_a_widget_that_failed_while_it_painted_can_be_painted_again(qtbot, monkeypatch) -> None:
    kept: list[object] = []  # as a debugger or a log may keep the exception
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: kept.append(error))
    guard_overrides("planted")
    panel = FaultyPanel()
    qtbot.addWidget(panel)
    panel.resize(ROOM)
    for _ in range(2):
        panel.render(QPixmap(ROOM))
    panel.paintEvent = lambda event: QPainter(panel).fillRect(panel.rect(), Qt.GlobalColor.red)
    assert panel.grab().toImage().pixelColor(5, 5) == Qt.GlobalColor.red
    assert kept


PLACES = {
    "xo_gui.views.votes.VotesView": "resizeEvent",
    "xo_gui.views.votes.votes_view.VoteBars": "sizeHint",
    "xo_gui.views.drawing.canvas.Canvas": "paintEvent",
    "xo_gui.views.training.timeline_view.TimelineView": "resizeEvent paintEvent",
    "xo_gui.views.drawing.DrawingView": "resizeEvent",
    "xo_gui.views.network.strip_widget.LayerStripWidget": "resizeEvent",
    "xo_gui.window.docks.PanelFrame": "event sizeHint resizeEvent",
    "xo_gui.window.docks.ScrolledPanelFrame": "eventFilter",
    "xo_gui.window.main_window.MainWindow": "closeEvent",
}
PLANT = """
import importlib
def broken(self, *arguments):
    raise RuntimeError("planted in {name}.{method}!")
importlib.import_module("{module}").{name}.{method} = broken
"""
REST = """
import atexit, pkgutil
from shiboken6 import Shiboken
def report():
    from xo_gui.app.overrides import is_unguarded_override, subclasses
    import xo_gui
    for module in pkgutil.walk_packages(xo_gui.__path__, "xo_gui."):
        importlib.import_module(module.name)
    for kind in subclasses(Shiboken.Object):
        for owner in kind.__mro__:
            if owner.__module__.startswith("xo_gui") and owner.__name__ != "EngineThread":
                print(*(name for name in vars(owner) if is_unguarded_override(kind, owner, name)), end="")
atexit.register(report)
"""


def test_faults_in_what_qt_calls_at_every_phase_are_logged_once_and_said_once(tmp_path) -> None:
    """While the window is built, shown, painted, resized and closed; no override of the program has no guard."""
    planted = [(*place.rsplit(".", 1), method) for place, methods in PLACES.items() for method in methods.split()]
    fault = (
        "".join(PLANT.format(module=module, name=name, method=method) for module, name, method in planted) + REST
    )
    picture = tmp_path / "window.png"
    result, log = run_with_fault(tmp_path, fault, f"'--screenshot', {str(picture)!r}")
    assert result.returncode == 0, result.stderr
    assert picture.exists()
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    texts = [f"RuntimeError: planted in {name}.{method}!" for _, name, method in planted]
    assert {text: (result.stderr.count(text), log.count(text)) for text in texts} == dict.fromkeys(texts, (1, 1))

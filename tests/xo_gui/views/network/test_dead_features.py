"""Dead features in the real window: marked on their tiles, described, and unmarked when they recover."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF
from PySide6.QtGui import QColor, QHelpEvent, QImage, QPainter
from PySide6.QtWidgets import QApplication, QToolTip

from engine.nn import Model
from engine.runtime import DeadFeaturesQuery
from engine.training import NetworkStatistics
from tests.xo_gui.views.training.test_training_view import Coach
from xo_gui.app import DARK
from xo_gui.state import TrainFromCurrentWeights
from xo_gui.views.network import paint_dead_mark
from xo_gui.views.training import FeatureHistoryView
from xo_gui.window import MainWindow


@pytest.fixture
def coach(window: MainWindow, qtbot: object) -> Coach:
    return Coach(window, qtbot)


def train_on(coach: Coach, bias: float) -> Model:
    """One step from the shipped weights, with a third feature killed by its bias, and live hidden values."""
    model = coach.window.session.document.models[0]
    parameters = {name: values.copy() for name, values in model.parameters.items()}
    parameters["conv2d-1.bias"][2] = bias
    parameters["dense-1.bias"][:] = 100
    coach.window.use_model(replace(model, parameters=parameters))
    number = coach.window.training.request.run_id if coach.window.training.request else 0
    coach.window.training.execute(TrainFromCurrentWeights())
    coach.until(lambda training: training.run_id > number and training.current_point.step >= 1)
    coach.click(coach.panel.main_button)
    coach.stand()
    coach.until(lambda training: (found := counted(coach)) is not None and found.point == training.shown_point)
    coach.qtbot.wait(300)
    return model


def counted(coach: Coach) -> NetworkStatistics | None:
    """The dead features in the Snapshot shown."""
    return coach.window.last.result(DeadFeaturesQuery())


def tile(coach: Coach, channel: int) -> QPoint:
    """A point just inside the tile of a feature's map."""
    column = coach.window.network_view._strips[0].layout.column_of(1)
    box = column.tile(channel)
    return QPoint(round(box.x) + 4, round(box.y) + 4)


def tip(coach: Coach, widget: object, at: QPoint) -> str:
    QApplication.sendEvent(widget, QHelpEvent(QEvent.Type.ToolTip, at, widget.mapToGlobal(at)))
    return QToolTip.text()


def test_a_dead_feature_is_marked_on_its_tile_and_in_the_history_and_described(coach: Coach) -> None:
    train_on(coach, -100)
    view = coach.window.network_view
    coach.qtbot.waitUntil(lambda: "1 dead feature" in view.accessibleDescription(), timeout=20_000)
    said = tip(coach, view, tile(coach, 2))
    assert said.startswith("Feature 3 is dead")
    assert "lower learning rate" in said
    assert not view._dead_marks.tooltip_text(tile(coach, 1).x(), tile(coach, 1).y())
    # Only the corner of that tile is covered by the mark: the rest of its map has one colour.
    image = view.grab().toImage()
    corner = tile(coach, 2)
    colours = {image.pixel(corner.x() + x, corner.y() + y) for x in range(30) for y in range(8)}
    assert len(colours) > 5
    film = next(each for each in coach.window.views if isinstance(each, FeatureHistoryView))
    last = film.strip.keyframe_boxes()[-1]
    assert "Dead: 3" in tip(coach, film.strip, last.box.center().toPoint())
    marked = film.strip.grab().toImage()
    film.strip.set_dead_features((), 0)
    assert film.strip.grab().toImage() != marked


def test_live_features_and_those_of_other_weights_are_not_marked(coach: Coach) -> None:
    shipped = train_on(coach, -100)
    view = coach.window.network_view
    assert view._dead_marks.summary()
    # After undo the displayed weights are not those of the training report.
    coach.window.session.undo_stack.undo()
    coach.window.session.undo_stack.undo()
    coach.qtbot.waitUntil(lambda: coach.window.last.predictions[0].model is shipped, timeout=10_000)
    coach.qtbot.waitUntil(lambda: not view._dead_marks.summary(), timeout=10_000)
    assert not view._dead_marks.tooltip_text(tile(coach, 2).x(), tile(coach, 2).y())
    train_on(coach, 0.1)
    assert all(each.layer != 1 for each in counted(coach).dead)
    assert not view._dead_marks.tooltip_text(tile(coach, 2).x(), tile(coach, 2).y())


def test_the_dead_mark_differs_from_the_class_symbols(window: MainWindow) -> None:
    """A ring alone would be an O; the bar through it makes it another shape."""
    image = QImage(20, 20, QImage.Format.Format_RGB32)
    image.fill(QColor(DARK.background))
    painter = QPainter(image)
    paint_dead_mark(painter, DARK, QPointF(10, 10), 14)
    painter.end()
    lit = np.array([[image.pixelColor(x, y).lightness() > 120 for x in range(20)] for y in range(20)])
    assert lit[9:11, 9:11].any()

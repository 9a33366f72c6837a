"""The data panel in the main window: labelled drawings, generator settings, and the current batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QWidget

from engine.data import GeneratorSamples, LabelledSample, generate_samples
from engine.documents import Document
from engine.drawings import Drawing
from engine.nn import RunPoint
from engine.runtime import LabelledPrediction, LabelledPredictionsQuery
from tests.xo_gui.conftest import CIRCLE, X_ARMS, Hand
from tests.xo_gui.views.training.test_training_view import Coach
from tests.xo_gui.workbench import model_of_other_classes
from xo_gui.views.data import DataView
from xo_gui.widgets import RangeSlider, Thumbnails
from xo_gui.window import MainWindow

MINE, GENERATED, BATCH = range(3)


class Reader:
    """Uses the data panel."""

    def __init__(self, window: MainWindow, hand: Hand) -> None:
        self.window, self.hand, self.qtbot = window, hand, hand.qtbot
        QTest.keyClick(window, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
        self.view = next(view for view in window.views if isinstance(view, DataView))
        self.qtbot.waitUntil(self.view.isVisible)

    def turn(self, page: int) -> None:
        QTest.mouseClick(self.view.page_buttons.button(page), Qt.MouseButton.LeftButton)

    def keep(self, *keys: str) -> None:
        """Saves the canvas with these labels."""
        for key in keys:
            self.hand.canvas.setFocus()
            QTest.keyClick(self.hand.canvas, key)

    def key(self, *keys: object) -> None:
        self.view.drawings_page.thumbnails.setFocus()
        for key in keys:
            QTest.keyClick(self.view.drawings_page.thumbnails, key)

    def click(self, wall: Thumbnails, at: int) -> None:
        QTest.mouseClick(wall.viewport(), Qt.MouseButton.LeftButton, pos=wall.tile_rect(at).center())

    @property
    def document(self) -> Document:
        return self.window.session.document

    @property
    def predictions(self) -> Mapping[Drawing, LabelledPrediction]:
        return self.window.last.result(LabelledPredictionsQuery()) or {}

    @property
    def kept(self) -> list[tuple[str, int]]:
        return [(own.label, own.weight) for own in self.document.labelled_samples]

    @property
    def shown(self) -> np.ndarray:
        """The generator's examples."""
        return np.stack([tile.picture for tile in self.view.generator_page.thumbnails.tiles])

    def until_sampled(self) -> None:
        def drawn() -> None:
            found = self.window.last.result_of_type(GeneratorSamples)
            assert found is not None
            assert found.settings == self.window.training.settings.data.generator
            assert self.view.generator_page._samples is found

        self.qtbot.waitUntil(drawn, timeout=10_000)


@pytest.fixture
def reader(window: MainWindow, hand: Hand) -> Reader:
    return Reader(window, hand)


def said_of(wall: Thumbnails, at: int) -> str:
    """What a screen reader says of a drawing."""
    return QAccessible.queryAccessibleInterface(wall).child(at).text(QAccessible.Text.Name)


def tooltip_of(wall: Thumbnails, at: int) -> str:
    return str(wall.model().index(at, 0).data(Qt.ItemDataRole.ToolTipRole))


def drag(slider: RangeSlider, upper: bool, to: float) -> None:
    """Drags a handle to a fraction of the slider's width."""
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=slider.handle_centre(upper).toPoint())
    request = QPoint(round(to * slider.width()), slider.height() // 2)
    QTest.mouseMove(slider, request)
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=request)


def move(widget: QWidget, to: QPoint) -> None:
    """A movement with the left button down, delivered at once; QTest's own waits for the cursor, and is lost where
    that is there already."""
    places = (QPointF(to), QPointF(widget.mapToGlobal(to)))
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    event = QMouseEvent(QEvent.Type.MouseMove, *places, none, left, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(widget, event)


# -- own drawings ----------------------------------------------------------------------------------------------


def test_an_empty_wall_says_how_to_fill_it_and_a_key_on_the_canvas_does(reader: Reader) -> None:
    assert not reader.view.drawings_page.thumbnails.isVisible()
    assert "press X, O or N" in reader.view.drawings_page._pages.currentWidget().text()
    reader.hand.draw(X_ARMS)
    reader.keep("x")
    assert reader.view.drawings_page.thumbnails.isVisible()
    assert reader.view.summary.text().startswith("1 X, 0 O, 0 neither")


def test_one_more_of_many_drawings_costs_one_tile(reader: Reader) -> None:
    reader.hand.draw(X_ARMS)
    many = tuple(LabelledSample(reader.document.input, "XO"[at % 2]) for at in range(200))
    reader.window.session.edit(replace(reader.document, labelled_samples=many), "Open")
    wall, sample = reader.view.drawings_page.thumbnails, reader.document.input
    reader.qtbot.waitUntil(lambda: reader.predictions.get(sample) is not None)
    reader.qtbot.waitUntil(lambda: bool(wall.tiles[199].details))
    before = wall.tiles
    reader.keep("x")
    assert len(wall.tiles) == 201
    assert all(one is other for one, other in zip(before, wall.tiles, strict=False))


def test_keys_relabel_weigh_and_delete_and_each_is_undone(reader: Reader) -> None:
    reader.hand.draw(X_ARMS)
    reader.keep("x", "x", "o")
    undo, before = reader.window.session.undo_stack, reader.window.session.undo_stack.count()
    stages = [reader.document]
    for key in (Qt.Key.Key_Home, "n", "+", "+", "-", Qt.Key.Key_Right, Qt.Key.Key_Delete, "x"):
        reader.key(key)
        if reader.document is not stages[-1]:
            stages.append(reader.document)
    assert reader.kept == [("neither", 2), ("X", 1)]
    assert undo.count() == before + 6
    for document in reversed(stages[:-1]):
        undo.undo()
        assert reader.document is document
    for document in stages[1:]:
        undo.redo()
        assert reader.document is document


def test_buttons_slider_and_menu_do_the_same_for_the_chosen_one(reader: Reader) -> None:
    reader.hand.draw(X_ARMS)
    reader.keep("x", "x")
    page = reader.view.drawings_page
    reader.click(page.thumbnails, 0)
    QTest.mouseClick(page.label_buttons["O"], Qt.MouseButton.LeftButton)
    assert reader.kept == [("O", 1), ("X", 1)]
    count = reader.window.session.undo_stack.count()
    slider = page.weight_row.slider
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=QPoint(2, slider.height() // 2))
    for along in (slider.width() // 2, slider.width()):
        move(slider, QPoint(along, slider.height() // 2))
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width(), slider.height() // 2))
    assert reader.kept == [("O", 20), ("X", 1)]
    assert reader.window.session.undo_stack.count() == count + 1
    assert "×20" in said_of(page.thumbnails, 0)
    count = reader.window.session.undo_stack.count()
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() // 2, slider.height() // 2))
    page.thumbnails.set_current(1)
    move(slider, QPoint(slider.width(), slider.height() // 2))
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width(), slider.height() // 2))
    assert reader.window.session.undo_stack.count() == count + 2, "two drawings are two undos"
    for _ in range(2):
        reader.window.session.undo_stack.undo()
    page.thumbnails.set_current(0)
    page._show_menu(0, page.thumbnails.mapToGlobal(QPoint(5, 5)))
    menu = page.findChild(QMenu)
    next(action for action in menu.actions() if "neither" in action.text()).trigger()
    menu.close()
    assert reader.kept == [("neither", 20), ("X", 1)]
    QTest.mouseClick(page.delete_button, Qt.MouseButton.LeftButton)
    assert reader.kept == [("X", 1)]


def test_a_double_click_puts_it_back_on_the_canvas(reader: Reader) -> None:
    reader.hand.draw(X_ARMS)
    kept = reader.document.input.source
    reader.keep("x")
    reader.window.drawing_view.clear()
    reader.hand.draw(CIRCLE)
    wall = reader.view.drawings_page.thumbnails
    reader.click(wall, 0)
    assert reader.document.input.source is not kept
    QTest.mouseDClick(wall.viewport(), Qt.MouseButton.LeftButton, pos=wall.tile_rect(0).center())
    assert reader.document.input.source is kept


def test_letters_on_the_wall_relabel_and_save_nothing(reader: Reader) -> None:
    reader.hand.draw(X_ARMS)
    reader.keep("x")
    reader.key("o")
    assert reader.kept == [("O", 1)]


def test_each_shows_how_it_is_read_and_those_read_otherwise_stand_out(reader: Reader) -> None:
    reader.hand.draw(X_ARMS)
    reader.keep("x", "o", "n")
    wall = reader.view.drawings_page.thumbnails
    reader.qtbot.waitUntil(lambda: all(tile.details for tile in wall.tiles), timeout=10_000)
    assert [tile.badge for tile in wall.tiles] == ["", "→ X", "→ X"]
    word, vote = wall.tiles[0].details.split(", ")
    assert word == "predicted X"
    assert f"X, {vote}" in reader.hand.votes_text
    assert said_of(wall, wall.current) == f"neither, predicted X, {vote}", "the last is selected"
    assert tooltip_of(wall, 1).startswith(f"O, predicted X, {vote}"), "truth first"
    assert reader.view.summary.text() == "1 X, 1 O, 1 neither; 1 predicted correctly."
    # While it trains, they may be of an earlier step than the one shown.
    read = dict(reader.predictions)
    last = replace(reader.window.last, training=None)
    late = {drawing: replace(each, point=RunPoint(0, 120)) for drawing, each in read.items()}
    reader.view.set_snapshot(replace(last, results={LabelledPredictionsQuery(): late}))
    assert reader.view.summary.text() == "1 X, 1 O, 1 neither; after step 120, 1 predicted correctly."
    reader.view.set_snapshot(replace(last, results={LabelledPredictionsQuery(): read}))
    assert reader.view.summary.text() == "1 X, 1 O, 1 neither; 1 predicted correctly."
    reader.key(Qt.Key.Key_Home, "n")
    assert [tile.badge for tile in wall.tiles] == ["→ X", "→ X", "→ X"]
    assert reader.view.summary.text() == "0 X, 1 O, 2 neither; 0 predicted correctly."
    reader.window.use_preset("walkthrough")
    reader.qtbot.waitUntil(lambda: reader.window.last.predictions[0].model.name != "Default", timeout=10_000)
    reader.qtbot.waitUntil(lambda: len(reader.predictions) == 1, timeout=10_000)
    assert wall.tiles[0].details == f"predicted X, {reader.hand.votes['X']:.2f}"
    reader.turn(GENERATED)
    reader.qtbot.waitUntil(lambda: not reader.predictions, timeout=10_000)


def test_a_network_that_tells_other_things_apart_judges_none_of_them_and_it_is_said(reader: Reader) -> None:
    reader.hand.draw(X_ARMS)
    reader.keep("x", "o")
    reader.window.use_model(model_of_other_classes(), opening=True)
    wall = reader.view.drawings_page.thumbnails
    reader.qtbot.waitUntil(lambda: all("cross" in tile.details or "circle" in tile.details for tile in wall.tiles))
    assert [tile.badge for tile in wall.tiles] == ["", ""]
    assert reader.view.summary.text() == "0 crosses, 0 circles, 0 neither, 1 O, 1 X."


# -- the generator ---------------------------------------------------------------------------------------------


def test_a_setting_that_is_dragged_changes_the_live_examples_and_what_is_learnt_from(reader: Reader) -> None:
    reader.turn(GENERATED)
    reader.until_sampled()
    before = reader.shown
    row = reader.view.generator_page.rows.rows["pen_width"]
    drag(row.slider, True, 0.9)
    reader.until_sampled()
    low, high = reader.window.training.settings.data.generator.pen_width
    assert low == 0.015
    assert 0.4 < high < 0.5
    assert row.value.text() == f"2 to {100 * high:.0f} %"
    assert (reader.shown > 0).sum() > 1.2 * (before > 0).sum()
    expected = generate_samples(reader.window.training.settings.data.generator).dataset.images[:, 0]
    for picture in reader.shown:
        assert any(np.array_equal(picture, other) for other in expected)


def test_the_handles_of_a_range_never_cross_and_each_is_reached_by_tab(reader: Reader) -> None:
    reader.turn(GENERATED)
    row = reader.view.generator_page.rows.rows["rotation"]
    drag(row.slider, False, 1.0)
    low, high = reader.window.training.settings.data.generator.rotation
    assert low == high == 36
    row.slider.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(row.slider, Qt.Key.Key_Home)
    QTest.keyClick(row.slider, Qt.Key.Key_Tab)
    QTest.keyClick(row.slider, Qt.Key.Key_End)
    assert reader.window.training.settings.data.generator.rotation == (-40, 40)
    assert row.value.text() == row.slider.accessibleDescription() == "\u221240 to 40°"
    QTest.keyClick(row.slider, Qt.Key.Key_Tab)
    assert not row.slider.hasFocus()


def test_settings_go_back_one_by_one_or_all_at_once(reader: Reader) -> None:
    reader.turn(GENERATED)
    page, training = reader.view.generator_page, reader.window.training
    usual = training.settings.data
    assert not page.reset_button.isEnabled()
    drag(page.rows.rows["size"].slider, False, 0.6)
    page.rows.rows["neither"].slider.setValue(100)
    page.count_row.slider.setValue(0)
    assert reader.view.summary.text() == "Per epoch: 25 X, 25 O, 50 neither."
    assert (training.settings.data.generator.neither, training.settings.data.count) == (0.5, 100)
    QTest.mouseDClick(page.rows.rows["size"].label, Qt.MouseButton.LeftButton)
    assert training.settings.data.generator == replace(usual.generator, neither=0.5)
    QTest.mouseClick(page.reset_button, Qt.MouseButton.LeftButton)
    assert training.settings.data == usual


def test_another_network_has_its_own_settings_and_size(reader: Reader) -> None:
    reader.turn(GENERATED)
    reader.until_sampled()
    reader.window.use_preset("walkthrough")
    reader.qtbot.waitUntil(lambda: reader.shown.shape[1:] == (9, 9), timeout=10_000)
    assert "9 × 9" in reader.view.generator_page.side_label.text()


def test_examples_are_drawn_only_while_somebody_looks(reader: Reader) -> None:
    reader.turn(GENERATED)
    reader.until_sampled()
    reader.turn(MINE)
    reader.hand.draw(X_ARMS)
    assert reader.window.last.result_of_type(GeneratorSamples) is None


# -- the batch, and when what is changed is learnt from --------------------------------------------------------


@pytest.fixture
def coach(window: MainWindow, qtbot: object) -> Coach:
    return Coach(window, qtbot)


def test_the_batch_on_screen_is_that_of_the_last_step_and_a_click_puts_one_on_the_canvas(
    reader: Reader, coach: Coach
) -> None:
    reader.hand.draw(X_ARMS)
    reader.keep("n")
    reader.key(*"+" * 20)
    reader.turn(BATCH)
    page = reader.view.batch_page
    assert not page.thumbnails.isVisible()
    coach.click(coach.panel.epoch_button)
    report = coach.stand()
    reader.qtbot.waitUntil(lambda: page.summary.text().startswith("step 10:"), timeout=10_000)
    expected = report.examples.images[report.batch, 0]
    np.testing.assert_array_equal([tile.picture for tile in page.thumbnails.tiles], expected)
    names = ["X", "O", "neither"]
    assert [tile.label for tile in page.thumbnails.tiles] == [
        names[at] for at in report.examples.labels[report.batch]
    ]
    assert [tile.caption for tile in page.thumbnails.tiles] == ["mine" if at >= 600 else "" for at in report.batch]
    reader.click(page.thumbnails, 2)
    np.testing.assert_array_equal(reader.document.input.source.image, expected[2])


@pytest.mark.parametrize("continues", [False, True])
def test_what_is_changed_waits_for_a_start_or_a_branch_and_says_so(
    reader: Reader, coach: Coach, continues: bool
) -> None:
    chosen = reader.view.continue_button if continues else reader.view.restart_button
    coach.click(coach.panel.step_button)
    coach.stand()
    assert not chosen.isVisible()
    reader.keep("n")
    assert chosen.isVisible()
    assert reader.view.summary.text() == "Not trained on yet:"
    coach.click(chosen)
    report = coach.until(lambda training: len(training.branches) == 2 and training.state == "running")
    assert len(report.examples) == 601
    assert report.branches[1].start == (1 if continues else 0)
    assert not chosen.isVisible()
    coach.click(coach.panel.main_button)
    coach.stand()

"""The comparison in the real window: a second network or a copy of earlier weights, and the differences."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

from engine.backends import choose_backend
from engine.documents import DEFAULT, save_model, shipped_model
from engine.explain import ModelDifference
from engine.nn import Model, Network, Prediction, Predictor, RunPoint
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from tests.two_stages import TWO_STAGES
from tests.xo_gui.conftest import CIRCLE, X_ARMS, Hand, OpenWindow
from tests.xo_gui.views.training.test_training_view import Coach, stroke_by_stroke
from xo_gui.state import CellRef, ShowPoint
from xo_gui.views.compare import CompareView
from xo_gui.views.compare.text import _both_values, difference_text
from xo_gui.views.inspector import InspectorView
from xo_gui.views.network import CellSummary, NetworkView
from xo_gui.window import MainWindow
from xo_gui.window.main_window import MIN_SIZE


class CompareDriver(Coach):
    """Operates the tab Compare with the mouse."""

    def __init__(self, window: MainWindow, qtbot: object) -> None:
        super().__init__(window, qtbot)
        self.hand = Hand(window, qtbot)
        self.view = next(view for view in window.views if isinstance(view, CompareView))
        self.undo = window.session.undo_stack

    def press(self, name: str) -> None:
        button = next(one for one in self.view.start.buttons if one.text() == name)
        assert button.isVisible()
        self.click(button)

    def choose(self, text: str) -> None:
        """Trigger the menu action with this text."""
        made = self.window.menus
        actions = [*made.menus["compare"].actions(), made.actions["swap"], made.actions["stop-comparing"]]
        next(one for one in actions if one.text().replace("&", "") == text).trigger()

    def compare_with(self, name: str) -> None:
        self.choose(name)
        self.hand.settle()
        self.qtbot.wait(20)

    @property
    def subjects(self) -> tuple[Model, ...]:
        return self.window.session.document.models

    def place(self, row: int, layer: int, channel: int, at: tuple[int, int] = (0, 0)) -> QPoint:
        """The position of a value in a row: 0, 1, or 2 for the difference; scrolled to if necessary."""
        bar = self.view._side_bar
        bar.setValue(bar.maximum() if row == 2 else bar.minimum())
        column = self.view._strips[row].layout.column_of(layer)
        box = column.outline(channel, range(at[0], at[0] + 1), range(at[1], at[1] + 1))
        return QPointF(*box.centre).toPoint()

    def point(self, row: int, layer: int, channel: int, at: tuple[int, int] = (0, 0)) -> str:
        """Hover a value, and return its summary."""
        QTest.mouseMove(self.view, self.place(row, layer, channel, at))
        said = self.view.selected_summary()
        assert said is not None
        return f"{said.place} {said.value} {said.detail}"

    def largest(self) -> float:
        """The largest difference of all maps shown."""
        return max(self.view._difference.largest(layer) for layer in self.view._difference.layers)


@pytest.fixture
def driver(window: MainWindow, qtbot: object) -> CompareDriver:
    return CompareDriver(window, qtbot)


def open_tab(driver: CompareDriver) -> None:
    tabs = driver.window.central_tabs.tabBar()
    at = next(at for at in range(tabs.count()) if tabs.tabText(at) == "Compare")
    QTest.mouseClick(tabs, Qt.MouseButton.LeftButton, pos=tabs.tabRect(at).center())
    assert driver.view.isVisible()


def three(said: str) -> list[float]:
    """The numbers for A, B and B minus A."""
    found = re.search(r"A (\S+) +B (\S+) +B − A (\S+)", said)
    assert found, said
    return [float(one.replace("−", "-")) for one in found.groups()]


def test_the_tab_says_what_to_do_and_a_preset_is_compared_with(driver: CompareDriver) -> None:
    driver.hand.draw(X_ARMS)
    open_tab(driver)
    assert driver.window.last.predictions[1:] == ()
    driver.press("Walk-through")
    driver.hand.settle()
    assert driver.window.windowTitle() == "A · Default network and B · Walk-through network — XO"
    assert [one.name for one in driver.subjects] == ["Default", "Walk-through"]
    driver.hand.settle()
    assert not driver.view.start.isVisible()
    assert driver.undo.undoText() == "comparing with Walk-through"
    # Both votes follow the mouse.
    votes = driver.window.votes_view
    before = [block.bars.accessibleDescription() for block in votes.blocks]
    driver.window.drawing_view.clear()
    driver.hand.draw(CIRCLE)
    after = [block.bars.accessibleDescription() for block in votes.blocks]
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert [block.heading.text() for block in votes.blocks] == ["A  Default", "B  Walk-through"]
    # Their inputs differ, so there is no difference.
    assert len(driver.view._strips) == 2
    assert "The input of A is 48 × 48 pixels and that of B 9 × 9" in driver.view.accessibleDescription()
    assert driver.view.accessibleDescription().startswith("A Default predicts")
    driver.undo.undo()
    driver.undo.undo()
    driver.undo.undo()
    assert len(driver.subjects) == 1
    assert driver.view.start.isVisible()


def trained(seed: int) -> Model:
    """Another default network."""
    return Model("Mine", DEFAULT.network, DEFAULT.network.initial_parameters(seed), 0.8)


def compare_two_stages(driver: CompareDriver) -> None:
    """Compare two networks in whose maps each cell has a pixel and more."""
    models = [Model(name, TWO_STAGES, TWO_STAGES.initial_parameters(seed)) for name, seed in (("A", 1), ("B", 5))]
    driver.window.use_model(models[0])
    driver.hand.draw(X_ARMS)
    driver.window.comparison.compare_with(models[1])
    driver.hand.settle()


def test_the_row_below_says_the_three_numbers(driver: CompareDriver) -> None:
    compare_two_stages(driver)
    first, second = (prediction.activations[1][2, 9, 7] for prediction in driver.window.last.predictions)
    expected = [float(first), float(second), float(second) - float(first)]
    for row in (0, 1, 2):
        assert three(driver.point(row, 1, 2, (9, 7))) == pytest.approx(expected, abs=0.0051)
    assert "the same in both" in driver.point(2, 0, 0, (3, 3))
    # The columns are aligned, and both networks have the same colour limits.
    strips = [shown.layout for shown in driver.view._strips]
    for layer in (0, 1, 3, 6, 10):
        assert len({strip.column_of(layer).x for strip in strips}) == 1
    levels = [shown.limits(shown.layout.column_of(3)).tolist() for shown in driver.view._strips]
    assert levels[0] == levels[1]
    # A click on a difference pins the value of the first network, one on the second that of the second.
    QTest.mouseClick(driver.view, Qt.MouseButton.LeftButton, pos=driver.place(2, 1, 2, (9, 7)))
    assert driver.window.session.selection.pinned == CellRef(1, 2, 9, 7, 0)
    QTest.mouseClick(driver.view, Qt.MouseButton.LeftButton, pos=driver.place(1, 1, 2, (9, 7)))
    assert driver.window.session.selection.pinned == CellRef(1, 2, 9, 7, 1)
    inspector = next(view for view in driver.window.views if isinstance(view, InspectorView))
    driver.qtbot.waitUntil(lambda: inspector.place_label.text().startswith("B · Features 1 · map 3"), timeout=5000)
    assert float(inspector.value_label.text().replace("−", "-")) == pytest.approx(expected[1], abs=0.0051)


def test_keys_select_the_same_value_of_the_other_network(driver: CompareDriver) -> None:
    compare_two_stages(driver)
    QTest.mouseMove(driver.view, driver.place(0, 1, 2, (9, 7)))
    driver.view.setFocus()
    QTest.keyClick(driver.view, Qt.Key.Key_B)
    QTest.keyClick(driver.view, Qt.Key.Key_Return)
    assert driver.window.session.selection.pinned == CellRef(1, 2, 9, 7, 1)
    QTest.keyClick(driver.view, Qt.Key.Key_A)
    QTest.keyClick(driver.view, Qt.Key.Key_Right)
    assert driver.window.session.selection.hovered == CellRef(1, 2, 9, 8, 0)
    QTest.keyClick(driver.view, Qt.Key.Key_Space)
    assert driver.view._map_zoom.isVisible()
    assert driver.view._map_zoom.title() == "A · Features 1 · map 3 of 8"
    driver.choose("Stop comparing")
    assert driver.window.session.selection.pinned is None
    assert not driver.view._map_zoom.isVisible()
    assert driver.view.start.isVisible()
    QTest.keyClick(driver.view, Qt.Key.Key_B)
    assert driver.window.session.selection.hovered is None


def test_a_folded_row_gives_the_others_its_room(driver: CompareDriver) -> None:
    compare_two_stages(driver)
    strips, buttons = driver.view._strips, driver.view._row_toggles.buttons
    assert driver.view._side_bar.isVisible()
    side = strips[2].layout.column_of(1).tile_width
    driver.click(buttons[0])
    assert not driver.view._side_bar.isVisible()
    buttons[1].setFocus()
    QTest.keyClick(buttons[1], Qt.Key.Key_Space)
    assert strips[2].layout.column_of(1).tile_width > 1.2 * side
    assert [bool(shown.visible_columns) for shown in strips] == [False, False, True]
    assert three(driver.point(2, 1, 2, (9, 7)))
    # The only headers are above the open row.
    assert [shown.decorations.header for shown in strips if shown.visible_columns] == [True]
    driver.click(buttons[1])
    assert three(driver.point(1, 1, 2, (9, 7)))


def test_a_weight_is_told_in_both(driver: CompareDriver) -> None:
    driver.window.resize(1700, 1000)
    driver.window.comparison.compare_with(trained(5))
    driver.hand.settle()
    column = driver.view._strips[2].layout.column_of(1)
    box = column.kernel_slice(3, 0)
    QTest.mouseMove(driver.view, QPointF(box.x + 1.5 * column.kernels.cell, box.y + 1).toPoint())
    weights = [one.parameters["conv2d-1.weight"][3, 0, 0, 1] for one in driver.subjects]
    said = driver.view.selected_summary()
    assert three(said.value) == pytest.approx([*weights, weights[1] - weights[0]], abs=0.0051)


def test_other_layers_have_no_difference_and_it_is_said_why(driver: CompareDriver) -> None:
    layers = (Conv2D(5, 5, padding="same"), ReLU(), MaxPool2D(), Flatten(), Dense(2))
    other = Network((1, 48, 48), layers, classes=("X", "O"))
    driver.hand.draw(X_ARMS)
    driver.window.comparison.compare_with(Model("Small", other, other.initial_parameters(1)))
    driver.hand.settle()
    strip = driver.view._strips[2].layout
    assert [column.display.layer for column in strip.columns] == [0]
    said = driver.view.accessibleDescription()
    assert "At layer 1 they are not: A has Features 1, 8 × 48 × 48; B has Features, 5 × 48 × 48." in said
    assert "only in A" not in driver.point(0, 0, 0)
    assert "only in B" in driver.point(1, 1, 0)


def test_the_difference_from_a_copy_grows_from_0_while_training(driver: CompareDriver) -> None:
    driver.hand.draw(X_ARMS)
    driver.click(driver.panel.main_button)
    driver.until(
        lambda training: training.current_point.step >= 3 and training.shown_point == training.current_point
    )
    driver.click(driver.line.compare_button)
    copy = driver.subjects[1]
    assert driver.view.isVisible()
    assert copy.origin["moment"] == f"step {copy.run_point.step} of Run 1, seed 1"
    was = {name: np.array(values) for name, values in copy.parameters.items()}
    driver.until(
        lambda training: (
            training.current_point.step >= copy.run_point.step + 4 and driver.window.last.predictions[1:]
        )
    )
    driver.click(driver.panel.main_button)
    made = driver.stand().current_point.step
    assert driver.subjects[1] is copy
    assert all(np.array_equal(copy.parameters[name], values) for name, values in was.items())
    drawing = stroke_by_stroke(driver, driver.hand)
    driver.qtbot.waitUntil(lambda: driver.window.last.input.source is drawing, timeout=10_000)
    assert driver.largest() > 0
    assert driver.view._names == (
        f"Default · step {made} of Run 1, seed 1",
        f"Default · step {copy.run_point.step} of Run 1, seed 1",
    )
    # At the step that was copied there is no difference.
    driver.window.training.execute(ShowPoint(copy.run_point))
    driver.until(lambda training: training.is_exact and training.shown_point == copy.run_point)
    driver.qtbot.wait(50)
    assert driver.largest() == 0
    driver.qtbot.waitUntil(lambda: "the same in every value" in driver.view.accessibleDescription(), timeout=5000)


def test_a_swapped_copy_continues_training_from_its_step(driver: CompareDriver) -> None:
    driver.hand.draw(X_ARMS)
    driver.click(driver.panel.epoch_button)
    driver.stand()
    driver.window.training.execute(ShowPoint(RunPoint(0, 4)))
    driver.until(lambda training: training.is_exact and training.shown_point == RunPoint(0, 4))
    driver.choose("These weights")
    driver.window.training.execute(ShowPoint(None))
    driver.until(lambda training: training.shown_point == RunPoint(0, 10))
    end, copy = driver.subjects
    driver.click(driver.view.swap_button)
    driver.until(lambda training: training.is_exact and training.shown_point == RunPoint(0, 4))
    assert driver.subjects[0] is copy
    assert driver.subjects[1].run_point == RunPoint(0, 10)
    np.testing.assert_array_equal(
        driver.subjects[1].parameters["conv2d-1.weight"], end.parameters["conv2d-1.weight"]
    )
    assert driver.undo.undoText() == "swapping the networks"
    driver.click(driver.panel.step_button)
    driver.until(lambda training: training.current_point == RunPoint(1, 5))
    driver.stand()
    assert driver.subjects[1].run_point == RunPoint(0, 10)
    driver.undo.undo()
    driver.undo.undo()
    assert driver.subjects == (end, copy)
    driver.click(driver.view.stop_button)
    assert driver.subjects == (end,)
    assert driver.undo.undoText() == "stop comparing"


def test_a_stroke_under_a_swap_to_pictures_of_another_size_is_committed_before(driver: CompareDriver) -> None:
    driver.compare_with("Walk-through")
    canvas = driver.hand.canvas
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=QPoint(60, 60))
    QTest.mouseMove(canvas, QPoint(90, 120))
    driver.choose("Swap the two")
    QTest.mouseMove(canvas, QPoint(120, 130))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=QPoint(120, 130))
    session = driver.window.session
    assert session.request().settled
    assert len(session.document.input.source.strokes) == 1
    assert canvas.current_drawing is session.document.input.source
    driver.undo.undo()
    assert driver.undo.undoText() == "Pen stroke"
    driver.undo.undo()
    assert session.document.input.source.strokes == ()


def test_swapping_while_training_pauses_it_first(driver: CompareDriver) -> None:
    stroke_by_stroke(driver, driver.hand)
    driver.choose("Default")
    driver.click(driver.panel.main_button)
    driver.until(lambda training: training.current_point.step >= 3)
    shipped = driver.subjects[1]
    driver.choose("Swap the two")
    driver.qtbot.waitUntil(lambda: driver.subjects[0] is shipped, timeout=20_000)
    reached = driver.training.current_point
    assert driver.subjects[1].run_point == reached
    assert not driver.window.training.settings.running
    driver.undo.undo()
    assert driver.undo.undoText() == f"training to step {reached.step}"
    assert driver.subjects[0].run_point == reached
    assert driver.subjects[1] is shipped


def test_a_file_is_compared_with_and_other_files_change_nothing(
    driver: CompareDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, flat, picture = tmp_path / "mine.safetensors", tmp_path / "flat.safetensors", tmp_path / "a.png"
    save_model(model, trained(2))
    wide = Network((1, 4, 6), (Flatten(), Dense(2)), classes=("X", "O"))
    save_model(flat, Model("Flat", wide, wide.initial_parameters(1)))
    driver.window.drawing_view.to_image().save(str(picture))
    said: list[str] = []
    for message in (driver.window.import_export.message, driver.window.comparison.message):
        message.connect(said.append)

    def open_file(path: Path) -> None:
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
        said.clear()
        driver.choose("A model file…")
        driver.qtbot.waitUntil(lambda: bool(said) or len(driver.subjects) > 1, timeout=5000)

    open_file(picture)
    assert "contains no network to compare with" in said[-1]
    open_file(flat)
    assert "a drawing is one square map" in said[-1]
    assert len(driver.subjects) == 1
    assert driver.window.session.document.input.source.is_empty
    open_file(model)
    assert [one.name for one in driver.subjects] == ["Default", "Mine"]
    # Another first network leaves the second unchanged.
    driver.window.use_preset("walkthrough")
    driver.hand.settle()
    assert [one.name for one in driver.subjects] == ["Walk-through", "Mine"]


def test_no_difference_is_computed_while_hidden(driver: CompareDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.compare_with("Default")
    driver.window.central_tabs.show_view(NetworkView)
    before = driver.view._difference
    driver.hand.draw(X_ARMS)
    assert driver.view._difference is before
    open_tab(driver)
    assert driver.view._difference is not before
    assert driver.view._difference.first is driver.window.last.predictions[0]


def test_both_come_back_with_the_last_session(open_window: OpenWindow, qtbot, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    driver = CompareDriver(open_window("--preset", "default"), qtbot)
    driver.click(driver.panel.step_button)
    driver.until(lambda training: training.current_point.step == 1)
    driver.stand()
    driver.choose("These weights")
    driver.click(driver.panel.step_button)
    driver.until(lambda training: training.current_point.step == 2)
    driver.stand()
    expected = driver.subjects
    driver.window.close()
    again = CompareDriver(open_window("--preset", "walkthrough"), qtbot)
    again.window.open_last_session()
    qtbot.waitUntil(lambda: len(again.subjects) == 2, timeout=20_000)
    for one, other in zip(again.subjects, expected, strict=True):
        assert (one.name, one.run_point, one.network) == (other.name, other.run_point, other.network)
        for name, values in other.parameters.items():
            np.testing.assert_array_equal(one.parameters[name], values)
    again.until(lambda training: training.current_point.step == 2)
    again.choose("Swap the two")
    again.until(lambda training: training.is_exact and training.shown_point == RunPoint(0, 1))


def test_a_copy_of_a_discarded_history_has_no_point_in_another(driver: CompareDriver) -> None:
    """Otherwise a restored session would mistake its step for one of the saved history."""
    driver.click(driver.panel.step_button)
    driver.until(lambda training: training.current_point.step == 1)
    driver.stand()
    driver.choose("These weights")
    assert driver.window.training.project_state().document.models[1].run_point == RunPoint(0, 1)
    driver.window.use_preset("walkthrough")
    driver.click(driver.panel.step_button)
    driver.until(lambda training: training.current_point.step == 1)
    driver.stand()
    assert driver.window.training.project_state().document.models[1].run_point is None


def test_shipped_networks_are_compared_with_themselves(driver: CompareDriver) -> None:
    driver.hand.draw(X_ARMS)
    driver.compare_with("Default")
    assert driver.subjects[1] is not driver.subjects[0]
    np.testing.assert_array_equal(
        driver.subjects[1].parameters["conv2d-1.weight"],
        shipped_model("default").parameters["conv2d-1.weight"],
    )
    assert driver.largest() == 0


def test_in_the_smallest_window_the_votes_of_two_lie_over_nothing(driver: CompareDriver) -> None:
    driver.compare_with("Walk-through")
    driver.window.resize(*MIN_SIZE)
    driver.qtbot.wait(50)
    docks = [dock for dock in driver.window.panels.all if not dock.visibleRegion().isEmpty()]
    assert not any(one.geometry().intersects(other.geometry()) for one, other in combinations(docks, 2))
    votes = driver.window.votes_view
    assert all(
        block.bars.visibleRegion().boundingRect().height() == block.bars.sizeHint().height()
        for block in votes.blocks
    )
    assert not votes.agreement.visibleRegion().isEmpty()


def test_the_sentence_says_the_same_only_of_what_was_compared() -> None:
    picture = np.random.default_rng(0).uniform(-1, 1, (12, 12)).astype(np.float32)

    def read(network: Network, seed: int) -> Prediction:
        model = Model(str(seed), network, network.initial_parameters(seed))
        return Predictor(model, choose_backend("cpu")).predict(picture)

    one = Network((1, 12, 12), (Conv2D(4, 3), ReLU(), MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O"))
    other = Network((1, 12, 12), (Conv2D(6, 4), MaxPool2D(), Flatten(), Dense(3)), ("X", "O", "T"))
    only_input = difference_text(ModelDifference.between(read(one, 1), read(other, 1)))
    assert only_input == "only their inputs can be compared, and these are the same"
    same = difference_text(ModelDifference.between(read(one, 1), read(one, 1)))
    assert same == "the same in every value that both have"
    differing = difference_text(ModelDifference.between(read(one, 1), read(one, 2)))
    assert "the same" not in differing


def test_a_value_of_both_and_their_difference_agree_as_shown() -> None:
    rng, single = np.random.default_rng(1), CellSummary("here", "")
    for _ in range(300):
        first = float(rng.normal(0, 10.0 ** rng.integers(-4, 3)))
        second = first + float(rng.normal(0, 10.0 ** rng.integers(-6, 2)))
        shown = _both_values(single, first, second).value
        assert "≈" not in shown
        a, b, difference = three(shown)
        places = len(shown.split("B − A ")[1].partition("e")[0].partition(".")[2])
        power = int(shown.split("B − A ")[1].replace("−", "-").partition("e")[2] or 0)
        assert b - a == pytest.approx(difference, abs=0.5000001 * 10.0 ** (power - places))

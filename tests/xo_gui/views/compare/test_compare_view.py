"""Comparing in the real window: a second network or a held moment beside the first, and what differs."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

from engine.documents.model_file import save_model, shipped_subject
from engine.documents.presets import DEFAULT
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from engine.nn.model import Moment, Subject
from engine.nn.network import Network
from tests.xo_gui.conftest import CIRCLE, X_ARMS, Hand
from tests.xo_gui.views.training.test_training_view import Coach, stroke_by_stroke
from xo_gui.state.commands import Look
from xo_gui.state.selection import Cell
from xo_gui.views.compare.compare_view import CompareView
from xo_gui.views.inspector.inspector_view import InspectorView
from xo_gui.views.network.network_view import NetworkView
from xo_gui.window.main_window import LEAST_SIZE, MainWindow


class Judge(Coach):
    """Looks at the tab Compare, with the mouse."""

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
        """From the menu, by the words of an action."""
        compare = self.window.menus.compare
        actions = [*compare.menu.actions(), compare.swap, compare.stop]
        next(one for one in actions if one.text().replace("&", "") == text).trigger()

    def compare_with(self, name: str) -> None:
        self.choose(name)
        self.hand.settle()
        self.qtbot.wait(20)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        return self.window.session.document.subjects

    def place(self, row: int, layer: int, channel: int, at: tuple[int, int] = (0, 0)) -> QPoint:
        """Where a cell lies in a row: 0, 1, or 2 for the difference; scrolled to if need be."""
        bar = self.view._side_bar
        bar.setValue(bar.maximum() if row == 2 else bar.minimum())
        column = self.view._strips[row].strip.column_of(layer)
        box = column.mark(channel, range(at[0], at[0] + 1), range(at[1], at[1] + 1))
        return QPointF(*box.centre).toPoint()

    def point(self, row: int, layer: int, channel: int, at: tuple[int, int] = (0, 0)) -> str:
        """What is said of it."""
        QTest.mouseMove(self.view, self.place(row, layer, channel, at))
        said = self.view.readout()
        assert said is not None
        return f"{said.place} {said.value} {said.reads}"

    def largest(self) -> float:
        """The largest difference of all maps that is shown."""
        return max(self.view._difference.largest(layer) for layer in self.view._difference.layers)


@pytest.fixture
def judge(window: MainWindow, qtbot: object) -> Judge:
    return Judge(window, qtbot)


def open_tab(judge: Judge) -> None:
    tabs = judge.window.middle.tabs
    at = next(at for at in range(tabs.count()) if tabs.tabText(at) == "Compare")
    QTest.mouseClick(tabs, Qt.MouseButton.LeftButton, pos=tabs.tabRect(at).center())
    assert judge.view.isVisible()


def three(said: str) -> list[float]:
    """The numbers for A, B and B minus A."""
    found = re.search(r"A (\S+) +B (\S+) +B − A (\S+)", said)
    assert found, said
    return [float(one.replace("−", "-")) for one in found.groups()]


def test_the_tab_says_what_to_do_and_a_preset_is_compared_with(judge: Judge) -> None:
    judge.hand.draw(X_ARMS)
    open_tab(judge)
    assert judge.window.last.readings[1:] == ()
    judge.press("Walk-through")
    assert [one.name for one in judge.subjects] == ["Default", "Walk-through"]
    judge.hand.settle()
    assert not judge.view.start.isVisible()
    assert judge.undo.undoText() == "comparing with Walk-through"
    # Both votes follow the mouse.
    votes = judge.window.votes_view
    before = [block.bars.accessibleDescription() for block in votes.blocks]
    judge.window.drawing_view.clear()
    judge.hand.draw(CIRCLE)
    after = [block.bars.accessibleDescription() for block in votes.blocks]
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert [block.heading.text() for block in votes.blocks] == ["A  Default", "B  Walk-through"]
    # No value of one is the other's counterpart, and that is said.
    assert len(judge.view._strips) == 2
    assert "A reads 32 × 32 pixels and B 9 × 9" in judge.view.accessibleDescription()
    assert judge.view.accessibleDescription().startswith("A Default, reading")
    judge.undo.undo()
    judge.undo.undo()
    judge.undo.undo()
    assert len(judge.subjects) == 1
    assert judge.view.start.isVisible()


def trained(seed: int) -> Subject:
    """Another default network."""
    return Subject("Mine", DEFAULT.network, DEFAULT.network.initial(seed), 0.8)


def test_the_row_below_says_the_three_numbers(judge: Judge) -> None:
    judge.hand.draw(X_ARMS)
    judge.window.comparing.put(trained(5))
    judge.hand.settle()
    first, second = (reading.outputs[1][2, 9, 7] for reading in judge.window.last.readings)
    expected = [float(first), float(second), float(second) - float(first)]
    for row in (0, 1, 2):
        assert three(judge.point(row, 1, 2, (9, 7))) == pytest.approx(expected, abs=0.0051)
    assert "the same in both" in judge.point(2, 0, 0, (3, 3))
    # The columns stand in line, and the colours of the two mean the same.
    strips = [shown.strip for shown in judge.view._strips]
    for layer in (0, 1, 3, 6, 10):
        assert len({strip.column_of(layer).x for strip in strips}) == 1
    levels = [shown.levels(shown.strip.column_of(3)).tolist() for shown in judge.view._strips]
    assert levels[0] == levels[1]
    # A click on a difference holds the value in the first, one on the second in the second.
    QTest.mouseClick(judge.view, Qt.MouseButton.LeftButton, pos=judge.place(2, 1, 2, (9, 7)))
    assert judge.window.session.focus.pinned == Cell(1, 2, 9, 7, 0)
    QTest.mouseClick(judge.view, Qt.MouseButton.LeftButton, pos=judge.place(1, 1, 2, (9, 7)))
    assert judge.window.session.focus.pinned == Cell(1, 2, 9, 7, 1)
    inspector = next(view for view in judge.window.views if isinstance(view, InspectorView))
    judge.qtbot.waitUntil(lambda: inspector.place.text().startswith("B · Features 1 · map 3"), timeout=5000)
    assert float(inspector.value.text().replace("−", "-")) == pytest.approx(expected[1], abs=0.0051)


def test_keys_lead_from_one_network_to_the_other_and_what_is_held_goes_with_it(judge: Judge) -> None:
    judge.hand.draw(X_ARMS)
    judge.window.comparing.put(trained(5))
    judge.hand.settle()
    QTest.mouseMove(judge.view, judge.place(0, 1, 2, (9, 7)))
    judge.view.setFocus()
    QTest.keyClick(judge.view, Qt.Key.Key_B)
    QTest.keyClick(judge.view, Qt.Key.Key_Return)
    assert judge.window.session.focus.pinned == Cell(1, 2, 9, 7, 1)
    QTest.keyClick(judge.view, Qt.Key.Key_A)
    QTest.keyClick(judge.view, Qt.Key.Key_Right)
    assert judge.window.session.focus.hovered == Cell(1, 2, 9, 8, 0)
    QTest.keyClick(judge.view, Qt.Key.Key_Space)
    assert judge.view._large.isVisible()
    assert judge.view._large.title() == "A · Features 1 · map 3 of 8"
    judge.choose("Stop comparing")
    assert judge.window.session.focus.pinned is None
    assert not judge.view._large.isVisible()
    assert judge.view.start.isVisible()
    QTest.keyClick(judge.view, Qt.Key.Key_B)
    assert judge.window.session.focus.hovered is None


def test_a_folded_row_gives_the_others_its_room(judge: Judge) -> None:
    judge.hand.draw(X_ARMS)
    judge.window.comparing.put(trained(5))
    judge.hand.settle()
    strips, buttons = judge.view._strips, judge.view._names_row.buttons
    assert judge.view._side_bar.isVisible()
    side = strips[2].strip.column_of(1).tile_width
    judge.click(buttons[0])
    assert not judge.view._side_bar.isVisible()
    buttons[1].setFocus()
    QTest.keyClick(buttons[1], Qt.Key.Key_Space)
    assert strips[2].strip.column_of(1).tile_width > 1.4 * side
    assert [bool(shown.in_view) for shown in strips] == [False, False, True]
    assert three(judge.point(2, 1, 2, (9, 7)))
    # The only headers are above the row that is open.
    assert [shown.around.header for shown in strips if shown.in_view] == [True]
    judge.click(buttons[1])
    assert three(judge.point(1, 1, 2, (9, 7)))


def test_a_weight_is_told_in_both(judge: Judge) -> None:
    judge.window.resize(1700, 1000)
    judge.window.comparing.put(trained(5))
    judge.hand.settle()
    column = judge.view._strips[2].strip.column_of(1)
    box = column.slice(3, 0)
    QTest.mouseMove(judge.view, QPointF(box.x + 1.5 * column.kernels.cell, box.y + 1).toPoint())
    weights = [one.parameters["01-conv2d.weight"][3, 0, 0, 1] for one in judge.subjects]
    said = judge.view.readout()
    assert three(said.value) == pytest.approx([*weights, weights[1] - weights[0]], abs=0.0051)


def test_other_layers_have_no_difference_and_it_is_said_why(judge: Judge) -> None:
    layers = (Conv2D(5, 5, padding="same"), ReLU(), MaxPool2D(), Flatten(), Dense(2))
    other = Network((1, 32, 32), layers)
    judge.hand.draw(X_ARMS)
    judge.window.comparing.put(Subject("Small", other, other.initial(1)))
    judge.hand.settle()
    strip = judge.view._strips[2].strip
    assert [column.stage.shown for column in strip.columns] == [0]
    said = judge.view.accessibleDescription()
    assert "At layer 1 they are not: A has Features 1, 8 × 32 × 32; B has Features, 5 × 32 × 32." in said
    assert "A alone has this" not in judge.point(0, 0, 0)
    assert "B alone has this" in judge.point(1, 1, 0)


def test_the_difference_from_a_held_moment_grows_from_nothing_while_training_goes_on(judge: Judge) -> None:
    judge.hand.draw(X_ARMS)
    judge.click(judge.panel.main_button)
    judge.until(lambda training: training.now.step >= 3 and training.shown == training.now)
    judge.click(judge.line.hold_button)
    held = judge.subjects[1]
    assert judge.view.isVisible()
    assert held.origin["moment"] == f"step {held.moment.step} of start 1"
    was = {name: np.array(values) for name, values in held.parameters.items()}
    judge.until(lambda training: training.now.step >= held.moment.step + 4 and judge.window.last.readings[1:])
    judge.click(judge.panel.main_button)
    made = judge.stand().now.step
    assert judge.subjects[1] is held
    assert all(np.array_equal(held.parameters[name], values) for name, values in was.items())
    drawing = stroke_by_stroke(judge, judge.hand)
    judge.qtbot.waitUntil(lambda: judge.window.last.drawing is drawing, timeout=10_000)
    assert judge.largest() > 0
    assert judge.view._names == (
        f"Default · step {made} of start 1",
        f"Default · step {held.moment.step} of start 1",
    )
    # Back at the moment that is held there is no difference.
    judge.window.training.wish(Look(held.moment))
    judge.until(lambda training: training.exact and training.shown == held.moment)
    judge.qtbot.wait(50)
    assert judge.largest() == 0
    judge.qtbot.waitUntil(lambda: "the same in every value" in judge.view.accessibleDescription(), timeout=5000)


def test_swapped_one_stands_at_the_held_moment_and_trains_on_from_there(judge: Judge) -> None:
    judge.hand.draw(X_ARMS)
    judge.click(judge.panel.epoch_button)
    judge.stand()
    judge.window.training.wish(Look(Moment(0, 4)))
    judge.until(lambda training: training.exact and training.shown == Moment(0, 4))
    judge.choose("This moment")
    judge.window.training.wish(Look(None))
    judge.until(lambda training: training.shown == Moment(0, 10))
    end, held = judge.subjects
    judge.click(judge.view.swap_button)
    judge.until(lambda training: training.exact and training.shown == Moment(0, 4))
    assert judge.subjects[0] is held
    assert judge.subjects[1].moment == Moment(0, 10)
    np.testing.assert_array_equal(
        judge.subjects[1].parameters["01-conv2d.weight"], end.parameters["01-conv2d.weight"]
    )
    assert judge.undo.undoText() == "swapping the networks"
    judge.click(judge.panel.step_button)
    judge.until(lambda training: training.now == Moment(1, 5))
    judge.stand()
    assert judge.subjects[1].moment == Moment(0, 10)
    judge.undo.undo()
    judge.undo.undo()
    assert judge.subjects == (end, held)
    judge.click(judge.view.stop_button)
    assert judge.subjects == (end,)
    assert judge.undo.undoText() == "stop comparing"


def test_swapped_while_it_trains_it_stands_still_first(judge: Judge) -> None:
    stroke_by_stroke(judge, judge.hand)
    judge.choose("Default")
    judge.click(judge.panel.main_button)
    judge.until(lambda training: training.now.step >= 3)
    shipped = judge.subjects[1]
    judge.choose("Swap the two")
    judge.qtbot.waitUntil(lambda: judge.subjects[0] is shipped, timeout=20_000)
    reached = judge.training.now
    assert judge.subjects[1].moment == reached
    assert not judge.window.training.intent.running
    judge.undo.undo()
    assert judge.undo.undoText() == f"training to step {reached.step}"
    assert judge.subjects[0].moment == reached
    assert judge.subjects[1] is shipped


def test_a_file_is_compared_with_and_other_files_change_nothing(
    judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, flat, picture = tmp_path / "mine.safetensors", tmp_path / "flat.safetensors", tmp_path / "a.png"
    save_model(model, trained(2))
    wide = Network((1, 4, 6), (Flatten(), Dense(2)))
    save_model(flat, Subject("Flat", wide, wide.initial(1)))
    judge.window.drawing_view.picture().save(str(picture))
    said: list[str] = []
    monkeypatch.setattr(judge.window._bar, "say", said.append)

    def open_file(path: Path) -> None:
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
        said.clear()
        judge.choose("A model file…")
        judge.qtbot.waitUntil(lambda: len(said) > 1 or len(judge.subjects) > 1, timeout=5000)

    open_file(picture)
    assert "holds no network to compare with" in said[-1]
    open_file(flat)
    assert "a drawing is one square map" in said[-1]
    assert len(judge.subjects) == 1
    assert judge.window.session.document.drawing.is_empty
    open_file(model)
    assert [one.name for one in judge.subjects] == ["Default", "Mine"]
    # Another network to train leaves the one it is compared with.
    judge.window.use_preset("walkthrough")
    judge.hand.settle()
    assert [one.name for one in judge.subjects] == ["Walk-through", "Mine"]


def test_while_nobody_looks_nothing_is_subtracted(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    judge.compare_with("Default")
    judge.window.middle.bring(NetworkView)
    before = judge.view._difference
    judge.hand.draw(X_ARMS)
    assert judge.view._difference is before
    open_tab(judge)
    assert judge.view._difference is not before
    assert judge.view._difference.first is judge.window.last.readings[0]


def test_both_come_back_with_the_last_session(open_window, qtbot, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    judge = Judge(open_window("--preset", "default"), qtbot)
    judge.click(judge.panel.step_button)
    judge.until(lambda training: training.now.step == 1)
    judge.stand()
    judge.choose("This moment")
    judge.click(judge.panel.step_button)
    judge.until(lambda training: training.now.step == 2)
    judge.stand()
    expected = judge.subjects
    judge.window.close()
    again = Judge(open_window("--preset", "walkthrough"), qtbot)
    again.window.open_last_session()
    qtbot.waitUntil(lambda: len(again.subjects) == 2, timeout=20_000)
    for one, other in zip(again.subjects, expected, strict=True):
        assert (one.name, one.moment, one.network) == (other.name, other.moment, other.network)
        for name, values in other.parameters.items():
            np.testing.assert_array_equal(one.parameters[name], values)
    again.until(lambda training: training.now.step == 2)
    again.choose("Swap the two")
    again.until(lambda training: training.exact and training.shown == Moment(0, 1))


def test_what_was_held_of_a_history_that_is_gone_stands_nowhere_in_another(judge: Judge) -> None:
    """Else a restored session would take its step for one of the history that is kept."""
    judge.click(judge.panel.step_button)
    judge.until(lambda training: training.now.step == 1)
    judge.stand()
    judge.choose("This moment")
    assert judge.window.training.work().document.subjects[1].moment == Moment(0, 1)
    judge.window.use_preset("walkthrough")
    judge.click(judge.panel.step_button)
    judge.until(lambda training: training.now.step == 1)
    judge.stand()
    assert judge.window.training.work().document.subjects[1].moment is None


def test_shipped_networks_are_compared_with_themselves(judge: Judge) -> None:
    judge.hand.draw(X_ARMS)
    judge.compare_with("Default")
    assert judge.subjects[1] is not judge.subjects[0]
    np.testing.assert_array_equal(
        judge.subjects[1].parameters["01-conv2d.weight"],
        shipped_subject("default").parameters["01-conv2d.weight"],
    )
    assert judge.largest() == 0


def test_in_the_smallest_window_the_votes_of_two_lie_over_nothing(judge: Judge) -> None:
    judge.compare_with("Walk-through")
    judge.window.resize(*LEAST_SIZE)
    judge.qtbot.wait(50)
    docks = [dock for dock in judge.window.panels.all if not dock.visibleRegion().isEmpty()]
    assert not any(one.geometry().intersects(other.geometry()) for one, other in combinations(docks, 2))
    votes = judge.window.votes_view
    assert all(
        block.bars.visibleRegion().boundingRect().height() == block.bars.sizeHint().height()
        for block in votes.blocks
    )
    assert not votes.agreement.visibleRegion().isEmpty()

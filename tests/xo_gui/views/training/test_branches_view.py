"""Branches and curves in the real window: comparison, renaming, hovering, and going to a step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QRect, Qt
from PySide6.QtGui import QAccessible, QHelpEvent, QIcon
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QToolTip, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from engine.nn import RunPoint
from engine.training import Branch, Curves
from tests.xo_gui.views.training.test_layer_statistics_view import Inside
from tests.xo_gui.views.training.test_training_view import Coach
from xo_gui.app import DARK
from xo_gui.app.theme import THEMES
from xo_gui.state import SetBranchVisible, SetConfig, ShowPoint
from xo_gui.views.training import BranchesView
from xo_gui.views.training.branches_view import BranchRow, BranchTable
from xo_gui.views.training.curve_plot import (
    MAX_POINTS,
    ErrorAxis,
    branch_pen,
    curve_lines,
    downsampled,
    smoothed,
    swatch,
)
from xo_gui.window import MainWindow


class Grove(Coach):
    """Creates branches, and drives the plot and the table."""

    def __init__(self, window: MainWindow, qtbot: object) -> None:
        super().__init__(window, qtbot)
        self.list = next(view for view in window.views if isinstance(view, BranchesView))
        self.tab = Inside(self).tab

    def two_branches(self) -> None:
        """An epoch, and a second branch from step 4."""
        self.click(self.panel.epoch_button)
        self.until(lambda training: training.current_point == RunPoint(0, 10))
        self.stand()
        self.window.training.execute(ShowPoint(RunPoint(0, 4)))
        self.until(lambda training: training.is_exact and training.shown_point == RunPoint(0, 4))
        self.click(self.panel.epoch_button)
        self.until(lambda training: training.current_point == RunPoint(1, 10))
        self.stand()
        # Until what is learnt from has been read too.
        self.until(lambda training: len(training.branches[1].curves.training_accuracy_steps) == 1)
        self.qtbot.wait(50)

    def at(self, step: float, value: float) -> QPoint:
        """The position of a step and a value, in units of the axis."""
        box = self.curves.plot.plotItem.vb
        return self.curves.plot.mapFromScene(box.mapViewToScene(box.viewRect().center().__class__(step, value)))

    def point(self, step: float, value: float) -> str:
        QTest.mouseMove(self.curves.plot.viewport(), self.at(step, value))
        self.qtbot.wait(20)
        return self.curves.value.text()

    def cell(self, row: int, column: int) -> QPoint:
        return self.list.table.visualRect(self.list.table.branches.index(row, column)).center()

    def text(self, row: int, column: int) -> str:
        return self.list.table.branches.index(row, column).data()

    def double_click(self, row: int, column: int) -> None:
        port = self.list.table.viewport()
        QTest.mouseClick(port, Qt.MouseButton.LeftButton, pos=self.cell(row, column))
        QTest.mouseDClick(port, Qt.MouseButton.LeftButton, pos=self.cell(row, column))

    def drawn(self) -> set[int]:
        """The branches with visible curves."""
        return {number for (number, _, _), item in self.curves.plot._items.items() if item.isVisible()}


@pytest.fixture
def grove(window: MainWindow, qtbot: object) -> Grove:
    return Grove(window, qtbot)


def test_smoothing_is_the_mean_of_the_last_steps() -> None:
    np.testing.assert_allclose(smoothed(np.array([4.0, 0, 2, 6, 8]), 2), [4, 2, 1, 4, 7])
    np.testing.assert_allclose(smoothed(np.array([4.0, 0, 2, 6, 8]), 100), [4, 2, 2, 3, 4])
    values = np.random.default_rng(1).random(300)
    expected = [values[max(0, at - 24) : at + 1].mean() for at in range(300)]
    np.testing.assert_allclose(smoothed(values, 25), expected)
    # What is no number says nothing of its neighbours.
    np.testing.assert_allclose(smoothed(np.array([1.0, np.inf, 3]), 3), [1, 1, 2])


@pytest.mark.parametrize("count", [1, 10, MAX_POINTS, MAX_POINTS + 1, 100_003])
def test_thinning_keeps_the_ends_and_the_mean(count: int) -> None:
    values = np.random.default_rng(2).random(count)
    steps, thin = downsampled(np.arange(1, count + 1), values)
    assert len(steps) == len(thin) <= MAX_POINTS
    assert steps[-1] == count
    sizes = np.diff(np.concatenate([[0], steps]))
    assert (thin * sizes).sum() / count == pytest.approx(values.mean())


def test_a_jump_of_the_rate_is_not_thinned_away() -> None:
    rates = np.full(50_000, 0.01, np.float32)
    rates[33_333] = 0.5
    none = np.zeros(0)
    curves = Curves(np.arange(1, 50_001), np.ones(50_000), rates, none, none, none, none, none)
    (line,) = curve_lines(curves, "rate", 25)
    assert line.values.max() == np.float32(0.5)
    assert len(line.values) < 2_000


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_branches_are_told_apart_without_colours_too(theme: object) -> None:
    pens = [branch_pen(theme, number, 2) for number in range(20)]
    looks = [(pen.color().name(), tuple(pen.dashPattern())) for pen in pens]
    assert len(set(looks)) == 20
    for first, second in pairwise(looks):
        assert first[1] != second[1]


def test_pointing_says_what_the_history_holds(grove: Grove) -> None:
    grove.click(grove.panel.epoch_button)
    grove.until(
        lambda training: [len(branch.curves.training_accuracy_steps) for branch in training.branches] == [1]
    )
    training = grove.stand()
    branch: Branch = training.branches[0]
    said = grove.point(7, np.log10(branch.curves.losses[6]))
    assert said.startswith(f"step 7 · {branch.name} · rate {branch.curves.rates[6]:.3g}\n")
    mean = branch.curves.losses[:7].mean()
    assert said.endswith(f"error {branch.curves.losses[6]:.3f} (mean {mean:.3f})")
    said = grove.point(10, np.log10(branch.curves.losses[9]))
    share = 100 * branch.curves.held_out_accuracies[0]
    assert said.endswith(f"held-out {branch.curves.held_out_losses[0]:.3f}, {share:.1f} %")
    grove.click(grove.curves.accuracy_button)
    share_learnt = 100 * branch.curves.training_accuracies[0]
    assert grove.curves.value.text().endswith(f"training {share_learnt:.1f} % · held-out {share:.1f} %")


def test_smoothing_is_chosen_and_drawn(grove: Grove) -> None:
    grove.click(grove.panel.epoch_button)
    grove.until(lambda training: training.current_point.step == 10)
    losses = grove.stand().branches[0].curves.losses
    box = grove.curves.smoothing
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Home)
    grove.qtbot.wait(20)
    assert "mean" not in grove.curves.value.text()
    QTest.keyClick(box, Qt.Key.Key_Down)
    line = grove.curves.plot._lines[0][1]
    np.testing.assert_allclose(line.values, [losses[max(0, at - 4) : at + 1].mean() for at in range(10)], rtol=1e-6)


def test_a_click_on_the_curve_jumps_there(grove: Grove) -> None:
    grove.two_branches()
    losses = grove.training.branches[0].curves.losses
    place = grove.at(2, np.log10(losses[:2].mean()))
    QTest.mouseClick(grove.curves.plot.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert grove.window.training.settings.shown_point == RunPoint(0, 2)
    grove.until(lambda training: training.is_exact and training.shown_point == RunPoint(0, 2))
    # The timeline, the film and the curves are those of that branch now.
    assert "step 2 of 10 · Run 1, seed 1" in grove.line.accessibleDescription()
    assert {frame.point.branch for frame in grove.training.keyframes} == {0}
    QTest.mouseMove(grove.curves.plot.viewport(), QPoint(1, 1))
    grove.qtbot.wait(30)
    assert grove.curves.value.text().startswith("step 2 · Run 1, seed 1 · ")
    assert f"error {losses[1]:.3f}" in grove.curves.accessibleDescription()


def test_two_branches_are_compared_on_one_plot_and_hidden_by_mouse(grove: Grove) -> None:
    grove.two_branches()
    assert grove.drawn() == {0, 1}
    grove.tab("Branches")
    table = grove.list.table
    row = table.visualRect(table.branches.index(0, 0))
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(row.left() + 10, row.center().y()))
    assert grove.window.training.settings.hidden_branches == {0}
    assert grove.drawn() == {1}
    assert [grove.text(1, column) for column in range(3)] == ["from step 4", "Run 1, seed 1 · 4", "10"]
    share = 100 * grove.training.branches[1].curves.held_out_accuracies[-1]
    assert grove.text(1, 3) == f"{share:.1f} %"


def rename(grove: Grove, text: str) -> None:
    editor = QApplication.focusWidget()
    assert isinstance(editor, QLineEdit)
    QTest.keyClicks(editor, text)
    QTest.keyClick(editor, Qt.Key.Key_Return)


def test_a_branch_is_renamed_by_mouse_and_by_key_and_is_called_so_everywhere(grove: Grove) -> None:
    grove.two_branches()
    grove.tab("Branches")
    grove.double_click(1, 0)
    rename(grove, "bolder")
    grove.until(lambda training: training.branches[1].name == "bolder")
    grove.qtbot.wait(30)
    assert grove.text(1, 0) == "bolder"
    assert "bolder" in grove.line.accessibleDescription()
    grove.list.table.select(0)
    grove.list.table.setFocus()
    QTest.keyClick(grove.list.table, Qt.Key.Key_F2)
    rename(grove, "first try")
    grove.until(lambda training: training.branches[0].name == "first try")
    grove.qtbot.wait(30)
    assert grove.text(1, 1) == "first try · 4"
    # A name of nothing is none.
    grove.double_click(1, 0)
    editor = QApplication.focusWidget()
    editor.selectAll()
    QTest.keyClick(editor, Qt.Key.Key_Delete)
    QTest.keyClick(editor, Qt.Key.Key_Return)
    grove.qtbot.wait(30)
    assert grove.text(1, 0) == "bolder"
    # A name that is being typed ends with the run that the branch is of.
    grove.double_click(1, 0)
    editor, report = QApplication.focusWidget(), grove.training
    QTest.keyClicks(editor, "of the run before")
    other = replace(report, run_id=report.run_id + 1, branches=report.branches[:1])
    grove.list.set_snapshot(replace(grove.window.last, training=other))
    assert QApplication.focusWidget() is not editor
    assert [row.name for row in grove.list.table.branches.rows] == ["first try"]


def row(name: str, steps: int = 10, is_hidden: bool = False) -> BranchRow:
    return BranchRow(name, "–", "A run of its own, without a parent", str(steps), "91.0 %", is_hidden, False)


@pytest.fixture
def table(qtbot: QtBot) -> Iterator[BranchTable]:
    """A table of three branches, the last column of the second the current cell."""
    window = QWidget()
    qtbot.addWidget(window)
    made = BranchTable(window)
    QVBoxLayout(window).addWidget(made)
    made.branches.show(1, (row("first"), row("second", is_hidden=True), row("third")))
    window.show()
    qtbot.waitExposed(window)
    made.setFocus()
    made.setCurrentIndex(made.branches.index(1, 3))
    yield made
    window.close()


def test_f2_space_and_return_are_for_the_whole_row(table: BranchTable, qtbot: QtBot) -> None:
    asked: list[object] = []
    table.branches.renamed.connect(lambda number, name: asked.append((number, name)))
    table.branches.visibility_changed.connect(lambda number, visible: asked.append((number, visible)))
    table.opened.connect(lambda: asked.append("opened"))
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Space, Qt.Key.Key_Up, Qt.Key.Key_Space, Qt.Key.Key_F2):
        QTest.keyClick(table, key)
    assert table.is_editing
    editor = QApplication.focusWidget()
    QTest.keyClicks(editor, "a b")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not table.is_editing)
    assert asked == ["opened", (1, True), (0, False), (0, "a b")]
    QTest.keyClick(table, Qt.Key.Key_F2)
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
    assert len(asked) == 4


def test_a_name_being_typed_survives_what_the_training_changes(table: BranchTable, qtbot: QtBot) -> None:
    tester = QAbstractItemModelTester(table.branches, QAbstractItemModelTester.FailureReportingMode.Fatal)
    names: list[str] = []
    table.branches.renamed.connect(lambda number, name: names.append(name))
    QTest.keyClick(table, Qt.Key.Key_F2)
    editor = QApplication.focusWidget()
    QTest.keyClicks(editor, "bold")
    table.branches.show(1, (row("first"), row("second", 11), row("third", 12), row("fourth")))
    assert [table.branches.index(at, 2).data() for at in range(4)] == ["10", "11", "12", "10"]
    QTest.keyClicks(editor, "er")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: names == ["bolder"])
    tester.deleteLater()


def test_a_screen_reader_says_each_branch_and_whether_it_is_hidden(table: BranchTable) -> None:
    found = QAccessible.queryAccessibleInterface(table)
    assert found.text(QAccessible.Text.Name) == "Branches of the training"
    said = [found.child(at).text(QAccessible.Text.Name) for at in range(found.childCount())]
    texts = [text for text in said if text]
    assert texts[:8] == ["name", "from", "steps", "held-out", "first", "–", "10", "91.0 %"]
    assert texts[8] == "second, curves hidden"


def test_going_to_a_branch_and_on_from_there_overwrites_nothing(grove: Grove) -> None:
    grove.two_branches()
    before = [branch.curves.losses.tolist() for branch in grove.training.branches]
    grove.tab("Branches")
    grove.double_click(0, 2)
    assert grove.window.training.settings.shown_point == RunPoint(0, 10)
    grove.until(lambda training: training.is_exact and training.shown_point == RunPoint(0, 10))
    grove.click(grove.list.continue_button)
    grove.until(lambda training: len(training.branches) == 3 and training.current_point.step > 11)
    grove.click(grove.panel.main_button)
    training = grove.stand()
    assert training.branches[2].parent == RunPoint(0, 10)
    assert [branch.curves.losses.tolist() for branch in training.branches[:2]] == before


def test_names_of_branches_are_not_given_twice(grove: Grove) -> None:
    grove.click(grove.panel.step_button)
    grove.stand()
    for count in (2, 3):
        grove.click(grove.panel.reset_button)
        grove.until(lambda training, count=count: len(training.branches) == count)
        grove.stand()
    names = [branch.name for branch in grove.training.branches]
    assert names == ["Run 1, seed 1", "Run 2, seed 1", "Run 3, seed 1"]


def test_how_it_goes_is_said_while_it_trains(grove: Grove) -> None:
    grove.click(grove.panel.main_button)
    words = ("steps/s", "epoch", "rate 0.00", "seed 1", "held-out")
    grove.qtbot.waitUntil(lambda: all(word in grove.line._facts() for word in words), timeout=60_000)
    grove.click(grove.panel.main_button)
    grove.stand()


def test_a_change_is_written_on_the_plot_and_named_on_the_timeline(grove: Grove) -> None:
    grove.two_branches()
    config = grove.window.training.settings.config
    grove.window.training.execute(SetConfig(replace(config, optimizer=replace(config.optimizer, rate=0.01))))
    grove.click(grove.panel.epoch_button)
    grove.until(lambda training: training.current_point == RunPoint(1, 20))
    grove.stand()
    grove.qtbot.wait(50)
    ((step, _, text),) = grove.curves.plot._marks
    assert (step, text.toPlainText()) == (10, "rate 0.01")
    assert text.isVisible()
    inside = grove.curves.plot.plotItem.vb.sceneBoundingRect().toAlignedRect().adjusted(-4, -4, 4, 4)
    assert QRect(inside).contains(text.sceneBoundingRect().toAlignedRect())
    branch = grove.window.training.training.branches[1]
    at = branch.curves.losses[10 - branch.parent.step - 1]
    assert "changed: rate 0.01" in grove.point(10, np.log10(at))
    line = grove.line

    def tip(step: int) -> str:
        at = QPoint(round(6 + (line.width() - 12) * step / 20), 10)
        QApplication.sendEvent(line, QHelpEvent(QEvent.Type.ToolTip, at, line.mapToGlobal(at)))
        return QToolTip.text()

    assert tip(4) == "from step 4 branches off Run 1, seed 1 here, after step 4"
    assert tip(10) == "after step 10: rate 0.01"
    assert tip(15) == "Show step 15"


def test_a_chosen_row_keeps_the_colour_of_its_branch(qapp: object) -> None:
    icon = swatch(DARK, 1, 1.0)
    plain, chosen = (icon.pixmap(22, 10, mode).toImage() for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected))
    assert plain == chosen
    colour = plain.pixelColor(3, 5).name()
    assert colour == branch_pen(DARK, 1, 2).color().name()


LOG_RANGES = ((-0.1, 0.1), (-0.7, 0.9), (-4.0, 1.0), (-12.0, 4.0), (-3.95, -3.75), (0.101, 0.102))


@pytest.mark.parametrize(("low", "high"), LOG_RANGES)
def test_numbers_of_a_logarithmic_axis_do_not_lie_over_each_other(qapp: object, low: float, high: float) -> None:
    axis = ErrorAxis("left")
    size = 120
    ((_, places),) = axis.logTickValues(low, high, size, None)
    assert all(low <= place <= high for place in places)
    gaps = np.diff(sorted(places)) * size / (high - low)
    assert len(places) >= 2
    assert gaps.min(initial=99) >= 12.9
    assert len(set(axis.logTickStrings(places, 1, 1))) == len(places)
    assert axis.logTickStrings([-1.0, 0.0, np.log10(5)], 1, 1) == ["0.1", "1", "5"]


def test_branches_judged_by_different_drawings_say_so(grove: Grove) -> None:
    words = "Branches here are evaluated on different held-out drawings."
    grove.two_branches()
    assert words not in grove.curves.value.text()
    grove.click(grove.panel.new_seed_button)
    grove.until(lambda training: len(training.branches) == 3)
    grove.click(grove.panel.epoch_button)
    grove.until(lambda training: len(training.branches[2].curves.held_out_steps) > 0)
    grove.stand()
    grove.qtbot.waitUntil(lambda: grove.curves.value.text().endswith(words))
    for branch in (0, 1):
        grove.window.training.execute(SetBranchVisible(branch, False))
    grove.qtbot.waitUntil(lambda: words not in grove.curves.value.text())

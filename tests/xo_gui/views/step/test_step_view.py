"""The step view in the real window: a training step is shown phase by phase, and performed as shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from engine.explain.step_trace import Dissection
from engine.nn.model import Moment
from tests.xo_gui.views.training.test_training_view import Coach
from xo_gui.state.commands import Look, Pace, Pause
from xo_gui.views.network.network_view import NetworkView
from xo_gui.views.step.phases import ACTS, Beat, beat_at, beats_of, sentence
from xo_gui.views.step.step_view import StepView
from xo_gui.widgets import number_text
from xo_gui.window.main_window import MainWindow

LEFT = Qt.MouseButton.LeftButton


class StepDriver(Coach):
    """Opens the step view and shows a step."""

    def __init__(self, window: MainWindow, qtbot: object) -> None:
        super().__init__(window, qtbot)
        self.view = next(view for view in window.views if isinstance(view, StepView))
        tabs = window.middle.tabs
        place = [tabs.tabText(at) for at in range(tabs.count())].index("One step")
        QTest.mouseClick(tabs, LEFT, pos=tabs.tabRect(place).center())

    @property
    def found(self) -> Dissection:
        assert self.view.found is not None
        return self.view.found

    def wait_for(self, true: Callable[[Dissection], bool]) -> Dissection:
        """Wait until the view shows a trace that fulfils the condition."""

        def check() -> None:
            found = self.view.found
            fits = found is not None and true(found)
            assert fits

        self.qtbot.waitUntil(check, timeout=60_000)
        return self.found

    def make_step(self) -> Dissection:
        """Perform one step and show the next."""
        QTest.mouseClick(self.view.step_button, LEFT)
        self.until(lambda training: training.now.step == 1)
        self.stand()
        return self.wait_for(lambda found: found.moment.step == 1)

    def click_weight(self, shown: int, index: tuple[int, ...]) -> None:
        """Click on a weight of a layer's kernels."""
        at = self.view.strip.middle_of((f"{self.found.network.names[shown]}.weight", index))
        assert at is not None
        QTest.mouseClick(self.view.strip, LEFT, pos=at)


@pytest.fixture
def driver(window: MainWindow, qtbot: object) -> StepDriver:
    return StepDriver(window, qtbot)


def test_without_training_it_says_what_to_do_and_step_shows_the_next(driver: StepDriver) -> None:
    view = driver.view
    assert "Press Train or Step" in view.empty.text()
    assert view.empty.isVisible()
    found = driver.make_step()
    assert not view.empty.isVisible()
    assert "Next: step 2" in view.caption.text()
    assert number_text.figures(found.error) in view.caption.text()


def test_the_four_phases_are_selected_with_the_mouse(driver: StepDriver) -> None:
    found, view = driver.make_step(), driver.view
    said = []
    for button in view.transport.acts:
        QTest.mouseClick(button, LEFT)
        said.append(view.words.text())
    assert [words.split(":")[0] for words in said] == ["Forward", "Error", "Backward", "Update"]
    assert number_text.figures(found.error) in said[1]
    assert view.transport.slider.value() == view.transport.slider.maximum()
    # At the left end only the drawing has gone in.
    QTest.mouseClick(view.transport.slider, LEFT, pos=QPoint(1, view.transport.slider.height() // 2))
    assert (view.beat.act, view.beat.column) == ("forward", 0)
    QTest.mouseClick(view.transport.next_button, LEFT)
    assert (view.beat.act, view.beat.column) == ("forward", 1)
    assert "feature" in view.words.text()


def test_next_after_the_update_performs_the_step_that_was_shown(driver: StepDriver) -> None:
    found, view = driver.make_step(), driver.view
    QTest.mouseClick(view.transport.acts[3], LEFT)
    assert found.update is not None
    before = {name: values.copy() for name, values in found.update.after.items()}
    QTest.mouseClick(view.transport.next_button, LEFT)
    driver.until(lambda training: training.now.step == 2)
    driver.stand()
    made = driver.window.session.document.subjects[0].parameters
    for name, values in before.items():
        np.testing.assert_array_equal(made[name], values)
    driver.wait_for(lambda found: found.moment.step == 2)
    assert view.beat.act == "forward"


def test_the_numbers_of_a_clicked_weight_are_the_engines(driver: StepDriver) -> None:
    driver.make_step()
    view, place = driver.view, ("01-conv2d.weight", (2, 0, 3, 1))
    assert not view.panel.isVisible()
    driver.click_weight(1, place[1])
    found = driver.wait_for(lambda found: found.worked is not None and found.worked.nudged is not None)
    worked = found.worked
    assert worked is not None
    assert worked.place == place
    assert [box.value() for box in view.panel.boxes] == [3, 1, 4, 2]
    assert found.update is not None
    numbers = view.panel.numbers.text()
    for value in (
        found.update.before[place[0]][place[1]],
        found.update.gradients[place[0]][place[1]],
        found.update.after[place[0]][place[1]],
        found.update.change(place[0])[place[1]],
    ):
        assert number_text.figures(float(value)) in numbers
    assert f"÷ {len(found.places)}" in numbers
    button = view.panel.sides.buttons()[1]
    QTest.mouseClick(button, LEFT)
    said = view.panel.nudges.text()
    assert view.panel.nudges.isVisible()
    assert worked.nudged is not None
    nudge = worked.nudged.nudge
    for error in (nudge.error, nudge.error_up, nudge.error_down):
        assert f"{error:.6f}" in said
    assert said.count("✓") == 1
    assert number_text.figures(worked.nudged.slope) in said
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert not view.panel.isVisible()


def test_any_weight_can_be_chosen_without_a_mouse(driver: StepDriver) -> None:
    driver.make_step()
    driver.click_weight(1, (0, 0, 0, 0))
    panel = driver.view.panel
    panel.chooser.setCurrentIndex(panel.chooser.count() - 2)
    panel.chooser.activated.emit(panel.chooser.count() - 2)
    panel.boxes[1].setValue(7)
    driver.wait_for(lambda found: found.worked is not None and found.worked.place[1] == (0, 6))
    assert [box.isVisible() for box in panel.boxes] == [True, True, False, False]
    assert "This drawing's part" in panel.part.text()


def test_another_drawing_of_the_batch_is_followed(driver: StepDriver) -> None:
    driver.make_step()
    box, at = driver.view.batch.tiles()[5]
    QTest.mouseClick(driver.view.batch, LEFT, pos=box.center().toPoint())
    found = driver.wait_for(lambda found: found.seen is not None and found.seen.example == at)
    assert found.seen is not None
    examples = driver.training.examples
    np.testing.assert_array_equal(found.seen.outputs[0], examples.images[found.places[5]])
    assert found.seen.error == pytest.approx(float(found.errors[5]))


def test_hidden_maps_are_counted_and_a_click_shows_the_next(driver: StepDriver) -> None:
    driver.make_step()
    strip = driver.view.strip
    column = next(column for column in strip.columns if column.stage.count == 16)
    assert f"+{16 - column.shown} more" in strip.line(column)
    QTest.mouseClick(strip, LEFT, pos=QPoint(round(column.x) + 12, 24))
    after = next(one for one in strip.columns if one.stage.shown == column.stage.shown)
    assert after.first == column.shown


def test_slow_training_shows_the_four_phases_of_each_step_in_turn(driver: StepDriver) -> None:
    driver.make_step()
    driver.window.training.wish(Pace(1.0))
    shown: list[tuple[int, str]] = []

    def note() -> None:
        seen = driver.found.moment.step, driver.view.beat.act
        if seen not in shown:
            shown.append(seen)

    driver.view._timer.timeout.connect(note)
    driver.click(driver.panel.main_button)
    driver.until(lambda training: training.now.step == 4)
    driver.window.training.wish(Pause())
    driver.stand()
    # test_step_trace_job.py checks that the engine performs no step before its trace is shown.
    for step in (2, 3):
        acts = tuple(act for at, act in shown if at == step)
        assert acts, f"step {step + 1} was not shown"
        # In order and none skipped; a machine that stalls for a second may miss the first or the last.
        first = ACTS.index(acts[0])
        assert acts == ACTS[first : first + len(acts)]


@pytest.mark.parametrize("columns", [2, 7, 400])
def test_each_phase_has_its_part_of_the_time(columns: int) -> None:
    beats = beats_of(columns)
    indices = [beat_at(beats, share / 1000) for share in range(1001)]
    assert indices == sorted(indices)
    assert (indices[0], indices[-1]) == (0, len(beats) - 1)
    for act in ACTS:
        assert sum(beats[at].act == act for at in indices) >= 150


def test_no_trace_is_requested_while_the_view_is_hidden(driver: StepDriver) -> None:
    driver.make_step()
    assert driver.window.training.goal.inspection is not None
    driver.window.middle.bring(NetworkView)
    assert driver.window.training.goal.inspection is None


def test_undoing_the_training_leaves_no_trace_to_show(driver: StepDriver) -> None:
    driver.make_step()
    driver.window.session.undo_stack.undo()
    driver.qtbot.waitUntil(lambda: driver.view.empty.isVisible())


def test_another_network_deselects_the_weight_and_shows_its_own_trace(driver: StepDriver) -> None:
    driver.make_step()
    driver.click_weight(1, (3, 0, 0, 0))
    driver.wait_for(lambda found: found.worked is not None)
    driver.window.use_preset("walkthrough")
    driver.qtbot.waitUntil(lambda: driver.view.empty.isVisible())
    QTest.mouseClick(driver.view.step_button, LEFT)
    found = driver.wait_for(lambda found: found.network.input_shape == (1, 9, 9))
    assert found.worked is None
    assert not driver.view.panel.isVisible()
    assert [column.stage.title for column in driver.view.strip.columns][:2] == ["Input", "Features"]
    driver.click_weight(1, (2, 0, 1, 1))
    driver.wait_for(lambda found: found.worked is not None and found.worked.place[1] == (2, 0, 1, 1))


def test_an_earlier_point_of_the_history_shows_the_step_from_there(driver: StepDriver) -> None:
    driver.make_step()
    driver.click(driver.panel.epoch_button)
    driver.until(lambda training: training.now.step == 10)
    driver.stand()
    driver.window.training.wish(Look(Moment(0, 4)))
    driver.wait_for(lambda found: found.moment == Moment(0, 4))
    assert "Step 5, done" in driver.view.caption.text()


def test_the_tooltip_shows_a_value_once_the_step_has_reached_it(driver: StepDriver) -> None:
    found, view = driver.make_step(), driver.view
    column = next(one for one in view.strip.columns if one.stage.title == "Pool")
    box = column.map(1, 1).part((16, 16), range(3, 4), range(5, 6))
    at = QPointF(box.centre[0] + 8, box.centre[1])
    QTest.mouseClick(view.transport.acts[0], LEFT)
    assert view.strip._tooltip(at) == ""
    QTest.mouseClick(view.transport.acts[2], LEFT)
    assert found.seen is not None
    gradient = float(found.seen.gradients[column.stage.shown][1, 3, 5])
    assert view.strip._tooltip(at) == f"gradient {number_text.figures(gradient)}"


def test_a_zero_gradient_is_explained(driver: StepDriver) -> None:
    found = driver.make_step()
    assert found.seen is not None
    stages = driver.view.strip.stages
    pooled = next(at for at, stage in enumerate(stages) if stage.title == "Pool")
    assert "the gradient is 0 here" not in sentence(Beat("backward", pooled), stages, found)
    silent = replace(found.seen, gradients=tuple(np.zeros_like(each) for each in found.seen.gradients))
    assert "the gradient is 0 here" in sentence(Beat("backward", pooled), stages, replace(found, seen=silent))

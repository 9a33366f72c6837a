"""The step view in the real window: a training step is shown phase by phase, and performed as shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from engine.explain import StepQuery, StepTrace
from engine.nn import RunPoint
from tests.xo_gui.views.training.test_training_view import Coach
from xo_gui.state import Pause, SetSpeedLimit, ShowPoint
from xo_gui.views.network import NetworkView
from xo_gui.views.step import StepView
from xo_gui.views.step.phases import STEP_PHASES, PhaseStep, phase_step_at, phase_steps, phase_text
from xo_gui.widgets import number_text
from xo_gui.window import MainWindow

LEFT = Qt.MouseButton.LeftButton


class StepDriver(Coach):
    """Opens the step view and shows a step."""

    def __init__(self, window: MainWindow, qtbot: object) -> None:
        super().__init__(window, qtbot)
        self.view = next(view for view in window.views if isinstance(view, StepView))
        tabs = window.central_tabs.tabBar()
        place = [tabs.tabText(at) for at in range(tabs.count())].index("One step")
        QTest.mouseClick(tabs, LEFT, pos=tabs.tabRect(place).center())

    @property
    def found(self) -> StepTrace:
        assert self.view.trace is not None
        return self.view.trace

    def wait_for(self, true: Callable[[StepTrace], bool]) -> StepTrace:
        """Wait until the view shows a trace that fulfils the condition."""

        def check() -> None:
            found = self.view.trace
            fits = found is not None and true(found)
            assert fits

        self.qtbot.waitUntil(check, timeout=60_000)
        return self.found

    def make_step(self) -> StepTrace:
        """Perform one step and show the next."""
        QTest.mouseClick(self.view.step_button, LEFT)
        self.until(lambda training: training.current_point.step == 1)
        self.stand()
        return self.wait_for(lambda found: found.run_point.step == 1)

    def click_weight(self, shown: int, index: tuple[int, ...]) -> None:
        """Click on a weight of a layer's kernels."""
        at = self.view.strip.weight_centre((f"{self.found.network.names[shown]}.weight", index))
        assert at is not None
        QTest.mouseClick(self.view.strip, LEFT, pos=at)


@pytest.fixture
def driver(window: MainWindow, qtbot: object) -> StepDriver:
    return StepDriver(window, qtbot)


def test_without_training_it_says_what_to_do_and_step_shows_the_next(driver: StepDriver) -> None:
    view = driver.view
    assert "Press Train or Step" in view.empty_label.text()
    assert view.empty_label.isVisible()
    found = driver.make_step()
    assert not view.empty_label.isVisible()
    assert "Next: step 2" in view.caption_label.text()
    assert number_text.four_digit_text(found.error) in view.caption_label.text()


def test_the_four_phases_are_selected_with_the_mouse(driver: StepDriver) -> None:
    found, view = driver.make_step(), driver.view
    said = []
    for button in view.transport.phase_buttons:
        QTest.mouseClick(button, LEFT)
        said.append(view.text_label.text())
    assert [words.split(":")[0] for words in said] == ["Forward", "Error", "Backward", "Update"]
    assert number_text.four_digit_text(found.error) in said[1]
    assert view.transport.slider.value() == view.transport.slider.maximum()
    # At the left end only the drawing has gone in.
    QTest.mouseClick(view.transport.slider, LEFT, pos=QPoint(1, view.transport.slider.height() // 2))
    assert (view.phase_step.phase, view.phase_step.column) == ("forward", 0)
    QTest.mouseClick(view.transport.next_button, LEFT)
    assert (view.phase_step.phase, view.phase_step.column) == ("forward", 1)
    assert "feature" in view.text_label.text()


def test_next_after_the_update_performs_the_step_that_was_shown(driver: StepDriver) -> None:
    found, view = driver.make_step(), driver.view
    QTest.mouseClick(view.transport.phase_buttons[3], LEFT)
    assert found.update is not None
    before = {name: values.copy() for name, values in found.update.after.items()}
    QTest.mouseClick(view.transport.next_button, LEFT)
    driver.until(lambda training: training.current_point.step == 2)
    driver.stand()
    made = driver.window.session.document.models[0].parameters
    for name, values in before.items():
        np.testing.assert_array_equal(made[name], values)
    driver.wait_for(lambda found: found.run_point.step == 2)
    assert view.phase_step.phase == "forward"


def written_numbers(text: str) -> list[float]:
    """The numbers in a text of the window; a sum may need more than four digits."""
    return [float(found.replace("−", "-")) for found in re.findall(r"−?\d+(?:\.\d+)?(?:e−?\d+)?", text)]


def four_digits(value: float) -> str:
    return f"{value:.3e}"


def test_the_numbers_of_a_clicked_weight_are_the_engines(driver: StepDriver) -> None:
    driver.make_step()
    view, place = driver.view, ("conv2d-1.weight", (2, 0, 3, 1))
    assert not view.weight_panel.isVisible()
    driver.click_weight(1, place[1])
    found = driver.wait_for(
        lambda found: found.weight_trace is not None and found.weight_trace.nudge_result is not None
    )
    worked = found.weight_trace
    assert worked is not None
    assert worked.parameter == place
    assert [box.value for box in view.weight_panel.index_boxes] == [3, 1, 4, 2]
    assert found.update is not None
    numbers = view.weight_panel.update_label.text()
    for value in (
        found.update.before[place[0]][place[1]],
        found.update.gradients[place[0]][place[1]],
        found.update.after[place[0]][place[1]],
        found.update.change(place[0])[place[1]],
    ):
        assert any(four_digits(shown) == four_digits(float(value)) for shown in written_numbers(numbers)), value
    assert f"÷ {len(found.indices)}" in numbers
    button = view.weight_panel.page_buttons.buttons()[1]
    QTest.mouseClick(button, LEFT)
    said = view.weight_panel.nudge_label.text()
    assert view.weight_panel.nudge_label.isVisible()
    assert worked.nudge_result is not None
    nudge = worked.nudge_result.nudge
    for error in (nudge.error, nudge.error_up, nudge.error_down):
        assert f"{error:.6f}" in said
    assert said.count("✓") == 1
    assert number_text.four_digit_text(worked.nudge_result.gradient) in said
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert not view.weight_panel.isVisible()


def test_while_its_numbers_are_computed_the_panel_of_a_weight_says_so(driver: StepDriver) -> None:
    driver.make_step()
    panel = driver.view.weight_panel
    driver.click_weight(1, (0, 0, 0, 0))
    assert panel.update_label.text() == panel.nudge_label.text()
    assert "Computing" in panel.update_label.text()
    driver.wait_for(lambda found: found.weight_trace is not None and found.weight_trace.nudge_result is not None)
    assert "Computing" not in panel.update_label.text() + panel.nudge_label.text()


def test_any_weight_can_be_chosen_without_a_mouse(driver: StepDriver) -> None:
    driver.make_step()
    driver.click_weight(1, (0, 0, 0, 0))
    panel = driver.view.weight_panel
    panel.parameter_box.setCurrentIndex(panel.parameter_box.count() - 2)
    panel.parameter_box.activated.emit(panel.parameter_box.count() - 2)
    panel.index_boxes[1].selectAll()
    QTest.keyClicks(panel.index_boxes[1], "7")
    QTest.keyClick(panel.index_boxes[1], Qt.Key.Key_Return)
    driver.wait_for(lambda found: found.weight_trace is not None and found.weight_trace.parameter[1] == (0, 6))
    assert [box.isVisible() for box in panel.index_boxes] == [True, True, False, False]
    assert "This drawing's part" in panel.part_label.text()


def test_another_drawing_of_the_batch_is_followed(driver: StepDriver) -> None:
    driver.make_step()
    box, at = driver.view.batch_strip.visible_tiles()[5]
    QTest.mouseClick(driver.view.batch_strip, LEFT, pos=box.center().toPoint())
    found = driver.wait_for(lambda found: found.example_pass is not None and found.example_pass.example == at)
    assert found.example_pass is not None
    examples = driver.training.examples
    np.testing.assert_array_equal(found.example_pass.outputs[0], examples.images[found.indices[5]])
    assert found.example_pass.error == pytest.approx(float(found.errors[5]))


def test_hidden_maps_are_counted_and_a_click_shows_the_next(driver: StepDriver) -> None:
    driver.make_step()
    strip = driver.view.strip
    column = next(column for column in strip.columns if column.display_column.count == 16)
    assert f"+{16 - column.shown} more" in strip.subtitle(column)
    QTest.mouseClick(strip, LEFT, pos=QPoint(round(column.x) + 12, 24))
    after = next(one for one in strip.columns if one.display_column.layer == column.display_column.layer)
    assert after.first_channel == column.shown


def test_slow_training_shows_the_four_phases_of_each_step_in_turn(driver: StepDriver) -> None:
    driver.make_step()
    driver.window.training.execute(SetSpeedLimit(1.0))
    shown: list[tuple[int, str]] = []

    def note() -> None:
        seen = driver.found.run_point.step, driver.view.phase_step.phase
        if seen not in shown:
            shown.append(seen)

    driver.view._timer.timeout.connect(note)
    driver.click(driver.panel.main_button)
    driver.until(lambda training: training.current_point.step == 4)
    driver.window.training.execute(Pause())
    driver.stand()
    # test_step_trace_job.py checks that the engine performs no step before its trace is shown.
    for step in (2, 3):
        acts = tuple(act for at, act in shown if at == step)
        assert acts, f"step {step + 1} was not shown"
        # In order and none skipped; a machine that stalls for a second may miss the first or the last.
        first = STEP_PHASES.index(acts[0])
        assert acts == STEP_PHASES[first : first + len(acts)]


@pytest.mark.parametrize("columns", [2, 7, 400])
def test_each_phase_has_its_part_of_the_time(columns: int) -> None:
    beats = phase_steps(columns)
    indices = [phase_step_at(beats, share / 1000) for share in range(1001)]
    assert indices == sorted(indices)
    assert (indices[0], indices[-1]) == (0, len(beats) - 1)
    for act in STEP_PHASES:
        assert sum(beats[at].phase == act for at in indices) >= 150


def test_no_trace_is_requested_while_the_view_is_hidden(driver: StepDriver) -> None:
    driver.make_step()
    assert any(isinstance(query, StepQuery) for query in driver.window.visible_queries())
    driver.window.central_tabs.show_view(NetworkView)
    assert not any(isinstance(query, StepQuery) for query in driver.window.visible_queries())


def test_undoing_the_training_leaves_no_trace_to_show(driver: StepDriver) -> None:
    driver.make_step()
    driver.window.session.undo_stack.undo()
    driver.qtbot.waitUntil(lambda: driver.view.empty_label.isVisible())


def test_another_network_deselects_the_weight_and_shows_its_own_trace(driver: StepDriver) -> None:
    driver.make_step()
    driver.click_weight(1, (3, 0, 0, 0))
    driver.wait_for(lambda found: found.weight_trace is not None)
    driver.window.use_preset("walkthrough")
    driver.qtbot.waitUntil(lambda: driver.view.empty_label.isVisible())
    QTest.mouseClick(driver.view.step_button, LEFT)
    found = driver.wait_for(lambda found: found.network.input_shape == (1, 9, 9))
    assert found.weight_trace is None
    assert not driver.view.weight_panel.isVisible()
    assert [column.display_column.title for column in driver.view.strip.columns][:2] == ["Input", "Features"]
    driver.click_weight(1, (2, 0, 1, 1))
    driver.wait_for(
        lambda found: found.weight_trace is not None and found.weight_trace.parameter[1] == (2, 0, 1, 1)
    )


def test_an_earlier_point_of_the_history_shows_the_step_from_there(driver: StepDriver) -> None:
    driver.make_step()
    driver.click(driver.panel.epoch_button)
    driver.until(lambda training: training.current_point.step == 10)
    driver.stand()
    driver.window.training.execute(ShowPoint(RunPoint(0, 4)))
    driver.wait_for(lambda found: found.run_point == RunPoint(0, 4))
    assert "Step 5, done" in driver.view.caption_label.text()


def test_the_tooltip_shows_a_value_once_the_step_has_reached_it(driver: StepDriver) -> None:
    found, view = driver.make_step(), driver.view
    column = next(one for one in view.strip.columns if one.display_column.title == "Pool")
    box = column.map_box(1, 1).sub_box((24, 24), range(3, 4), range(5, 6))
    at = QPointF(box.centre[0] + 8, box.centre[1])
    QTest.mouseClick(view.transport.phase_buttons[0], LEFT)
    assert view.strip._tooltip(at) == ""
    QTest.mouseClick(view.transport.phase_buttons[2], LEFT)
    assert found.example_pass is not None
    gradient = float(found.example_pass.gradients[column.display_column.layer][1, 3, 5])
    assert view.strip._tooltip(at) == f"gradient {number_text.four_digit_text(gradient)}"


def test_a_zero_gradient_is_explained(driver: StepDriver) -> None:
    found = driver.make_step()
    assert found.example_pass is not None
    stages = driver.view.strip.display_columns
    pooled = next(at for at, stage in enumerate(stages) if stage.title == "Pool")
    assert "the gradient is 0 here" not in phase_text(PhaseStep("backward", pooled), stages, found)
    silent = replace(
        found.example_pass, gradients=tuple(np.zeros_like(each) for each in found.example_pass.gradients)
    )
    assert "the gradient is 0 here" in phase_text(
        PhaseStep("backward", pooled), stages, replace(found, example_pass=silent)
    )

"""One step in slow motion, in the real window: gone through with the mouse, and then made as it was shown."""

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


class Onlooker(Coach):
    """Opens the panel, and looks at a step."""

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

    def sees(self, true: Callable[[Dissection], bool]) -> Dissection:
        """Wait until the panel shows a step of which this is so."""

        def check() -> None:
            found = self.view.found
            fits = found is not None and true(found)
            assert fits

        self.qtbot.waitUntil(check, timeout=60_000)
        return self.found

    def begin(self) -> Dissection:
        """One step made, the next taken apart."""
        QTest.mouseClick(self.view.step_button, LEFT)
        self.until(lambda training: training.now.step == 1)
        self.stand()
        return self.sees(lambda found: found.moment.step == 1)

    def pick(self, shown: int, index: tuple[int, ...]) -> None:
        """Click on a weight of the features of a layer."""
        at = self.view.strip.middle_of((f"{self.found.network.names[shown]}.weight", index))
        assert at is not None
        QTest.mouseClick(self.view.strip, LEFT, pos=at)


@pytest.fixture
def onlooker(window: MainWindow, qtbot: object) -> Onlooker:
    return Onlooker(window, qtbot)


def test_without_training_it_says_what_to_do_and_a_step_shows_the_next(onlooker: Onlooker) -> None:
    view = onlooker.view
    assert "Press Train or Step" in view.empty.text()
    assert view.empty.isVisible()
    found = onlooker.begin()
    assert not view.empty.isVisible()
    assert "Next: step 2" in view.caption.text()
    assert number_text.figures(found.error) in view.caption.text()


def test_the_four_stages_are_gone_through_with_the_mouse(onlooker: Onlooker) -> None:
    found, view = onlooker.begin(), onlooker.view
    said = []
    for button in view.transport.acts:
        QTest.mouseClick(button, LEFT)
        said.append(view.words.text())
    assert [words.split(":")[0] for words in said] == ["Forward", "Error", "Backward", "Update"]
    assert number_text.figures(found.error) in said[1]
    assert view.transport.slider.value() == view.transport.slider.maximum()
    # To the left end: only the drawing has gone in.
    QTest.mouseClick(view.transport.slider, LEFT, pos=QPoint(1, view.transport.slider.height() // 2))
    assert (view.beat.act, view.beat.column) == ("forward", 0)
    QTest.mouseClick(view.transport.next_button, LEFT)
    assert (view.beat.act, view.beat.column) == ("forward", 1)
    assert "feature" in view.words.text()


def test_after_the_update_next_makes_the_very_step_that_was_shown(onlooker: Onlooker) -> None:
    found, view = onlooker.begin(), onlooker.view
    QTest.mouseClick(view.transport.acts[3], LEFT)
    assert found.update is not None
    before = {name: values.copy() for name, values in found.update.after.items()}
    QTest.mouseClick(view.transport.next_button, LEFT)
    onlooker.until(lambda training: training.now.step == 2)
    onlooker.stand()
    made = onlooker.window.session.document.subjects[0].parameters
    for name, values in before.items():
        np.testing.assert_array_equal(made[name], values)
    onlooker.sees(lambda found: found.moment.step == 2)
    assert view.beat.act == "forward"


def test_a_weight_is_clicked_and_its_numbers_are_the_engine_s(onlooker: Onlooker) -> None:
    onlooker.begin()
    view, place = onlooker.view, ("01-conv2d.weight", (2, 0, 3, 1))
    assert not view.panel.isVisible()
    onlooker.pick(1, place[1])
    found = onlooker.sees(lambda found: found.worked is not None and found.worked.nudged is not None)
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


def test_any_weight_can_be_chosen_without_a_mouse(onlooker: Onlooker) -> None:
    onlooker.begin()
    onlooker.pick(1, (0, 0, 0, 0))
    panel = onlooker.view.panel
    panel.chooser.setCurrentIndex(panel.chooser.count() - 2)
    panel.chooser.activated.emit(panel.chooser.count() - 2)
    panel.boxes[1].setValue(7)
    onlooker.sees(lambda found: found.worked is not None and found.worked.place[1] == (0, 6))
    assert [box.isVisible() for box in panel.boxes] == [True, True, False, False]
    assert "This drawing's part" in panel.part.text()


def test_another_drawing_of_the_batch_is_followed(onlooker: Onlooker) -> None:
    onlooker.begin()
    box, at = onlooker.view.batch.tiles()[5]
    QTest.mouseClick(onlooker.view.batch, LEFT, pos=box.center().toPoint())
    found = onlooker.sees(lambda found: found.seen is not None and found.seen.example == at)
    assert found.seen is not None
    examples = onlooker.training.examples
    np.testing.assert_array_equal(found.seen.outputs[0], examples.images[found.places[5]])
    assert found.seen.error == pytest.approx(float(found.errors[5]))


def test_many_maps_are_folded_to_a_number_and_a_click_shows_the_next(onlooker: Onlooker) -> None:
    onlooker.begin()
    strip = onlooker.view.strip
    column = next(column for column in strip.columns if column.stage.count == 16)
    assert f"+{16 - column.shown} more" in strip.line(column)
    QTest.mouseClick(strip, LEFT, pos=QPoint(round(column.x) + 12, 24))
    after = next(one for one in strip.columns if one.stage.shown == column.stage.shown)
    assert after.first == column.shown


def test_while_it_trains_slowly_the_four_stages_of_each_step_are_shown_in_turn(onlooker: Onlooker) -> None:
    onlooker.begin()
    onlooker.window.training.wish(Pace(1.0))
    shown: list[tuple[int, str]] = []

    def note() -> None:
        seen = onlooker.found.moment.step, onlooker.view.beat.act
        if seen not in shown:
            shown.append(seen)

    onlooker.view._timer.timeout.connect(note)
    onlooker.click(onlooker.panel.main_button)
    onlooker.until(lambda training: training.now.step == 4)
    onlooker.window.training.wish(Pause())
    onlooker.stand()
    # That no step is made before it is taken apart is the engine's: test_slow_motion.py.
    for step in (2, 3):
        acts = tuple(act for at, act in shown if at == step)
        assert acts, f"step {step + 1} was not shown"
        # In turn, and none passed over; a machine that stands still for a second may miss the first or the last.
        first = ACTS.index(acts[0])
        assert acts == ACTS[first : first + len(acts)]


@pytest.mark.parametrize("columns", [2, 7, 400])
def test_each_of_the_four_has_its_part_of_the_time(columns: int) -> None:
    beats = beats_of(columns)
    told = [beat_at(beats, share / 1000) for share in range(1001)]
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, len(beats) - 1)
    for act in ACTS:
        assert sum(beats[at].act == act for at in told) >= 150


def test_nothing_is_taken_apart_while_nobody_looks(onlooker: Onlooker) -> None:
    onlooker.begin()
    assert onlooker.window.training.goal.inspection is not None
    onlooker.window.middle.bring(NetworkView)
    assert onlooker.window.training.goal.inspection is None


def test_undoing_the_training_leaves_nothing_to_take_apart(onlooker: Onlooker) -> None:
    onlooker.begin()
    onlooker.window.session.undo_stack.undo()
    onlooker.qtbot.waitUntil(lambda: onlooker.view.empty.isVisible())


def test_another_network_lets_go_of_the_weight_and_is_taken_apart_itself(onlooker: Onlooker) -> None:
    onlooker.begin()
    onlooker.pick(1, (3, 0, 0, 0))
    onlooker.sees(lambda found: found.worked is not None)
    onlooker.window.use_preset("walkthrough")
    onlooker.qtbot.waitUntil(lambda: onlooker.view.empty.isVisible())
    QTest.mouseClick(onlooker.view.step_button, LEFT)
    found = onlooker.sees(lambda found: found.network.input_shape == (1, 9, 9))
    assert found.worked is None
    assert not onlooker.view.panel.isVisible()
    assert [column.stage.title for column in onlooker.view.strip.columns][:2] == ["Input", "Features"]
    onlooker.pick(1, (2, 0, 1, 1))
    onlooker.sees(lambda found: found.worked is not None and found.worked.place[1] == (2, 0, 1, 1))


def test_looking_back_shows_the_step_from_there(onlooker: Onlooker) -> None:
    onlooker.begin()
    onlooker.click(onlooker.panel.epoch_button)
    onlooker.until(lambda training: training.now.step == 10)
    onlooker.stand()
    onlooker.window.training.wish(Look(Moment(0, 4)))
    onlooker.sees(lambda found: found.moment == Moment(0, 4))
    assert "Step 5, done" in onlooker.view.caption.text()


def test_pointing_at_a_value_says_it_once_the_step_has_come_to_it(onlooker: Onlooker) -> None:
    found, view = onlooker.begin(), onlooker.view
    column = next(one for one in view.strip.columns if one.stage.title == "Pool")
    box = column.map(1, 1).part((16, 16), range(3, 4), range(5, 6))
    at = QPointF(box.centre[0] + 8, box.centre[1])
    QTest.mouseClick(view.transport.acts[0], LEFT)
    assert view.strip._tooltip(at) == ""
    QTest.mouseClick(view.transport.acts[2], LEFT)
    assert found.seen is not None
    gradient = float(found.seen.gradients[column.stage.shown][1, 3, 5])
    assert view.strip._tooltip(at) == f"gradient {number_text.figures(gradient)}"


def test_where_no_gradient_comes_through_it_is_said(onlooker: Onlooker) -> None:
    found = onlooker.begin()
    assert found.seen is not None
    stages = onlooker.view.strip.stages
    pooled = next(at for at, stage in enumerate(stages) if stage.title == "Pool")
    assert "the gradient is 0 here" not in sentence(Beat("backward", pooled), stages, found)
    silent = replace(found.seen, gradients=tuple(np.zeros_like(each) for each in found.seen.gradients))
    assert "the gradient is 0 here" in sentence(Beat("backward", pooled), stages, replace(found, seen=silent))

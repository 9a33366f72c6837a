"""The settings panel in the real window: every setting by mouse and keyboard, before and during a run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from engine.form_fields import FormField, form_field, form_fields_of
from engine.nn import Network
from engine.nn.layers import Conv2D, Dense, Flatten
from engine.training import OPTIMIZERS, SCHEDULES, SGD, AdamW, Cosine, Schedule, TrainingConfig
from engine.training.config import StepDecay
from engine.training.optimizers import Adam
from tests.xo_gui.views.training.test_training_view import Coach
from xo_gui.state import SetConfig
from xo_gui.views.training import SettingsView
from xo_gui.views.training.settings_view import FrozenLayers
from xo_gui.widgets import NumberEdit
from xo_gui.widgets.form import FormRow
from xo_gui.window import MainWindow

TUNED = TrainingConfig(AdamW(0.003, decay=0.02), Cosine(0.05), epochs=60)


class Tuner(Coach):
    """Drives the settings panel like a user."""

    def __init__(self, window: MainWindow, qtbot: object) -> None:
        super().__init__(window, qtbot)
        window.training.execute(SetConfig(TUNED))
        window.panels.show_panel(SettingsView)
        self.view = next(view for view in window.views if isinstance(view, SettingsView))
        qtbot.waitUntil(self.view.isVisible)

    @property
    def config(self) -> TrainingConfig:
        return self.window.training.settings.config

    @property
    def said(self) -> str:
        return self.window.statusBar().currentMessage()

    def rows(self) -> dict[str, FormRow]:
        forms = (self.view.optimizer_form, self.view.schedule_form, self.view.learning_form, self.view.stop_form)
        return {name: row for form in forms for name, row in form.rows.items()}

    def type(self, name: str, text: str) -> None:
        """Replace a number and press Return."""
        box = self.rows()[name].box
        box.setFocus()
        box.selectAll()
        QTest.keyClicks(box, text)
        QTest.keyClick(box, Qt.Key.Key_Return)

    def tick(self, name: str) -> None:
        self.tick_box(self.rows()[name].check)

    def tick_box(self, box: QWidget) -> None:
        QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))

    def choose(self, box: QWidget, kind: str) -> None:
        """By keyboard: open the list and go down to the item."""
        box.setFocus()
        place = box.findData(kind)
        QTest.keyClick(box, Qt.Key.Key_Home)
        for _ in range(place):
            QTest.keyClick(box, Qt.Key.Key_Down)


@pytest.fixture
def tuner(window: MainWindow, qtbot: object) -> Tuner:
    return Tuner(window, qtbot)


def test_every_setting_of_a_config_has_a_row_with_a_name_and_a_sentence(tuner: Tuner) -> None:
    for kind in OPTIMIZERS:
        tuner.choose(tuner.view.optimizer, kind)
        assert tuner.config.optimizer.kind == kind
        for name, row in tuner.rows().items():
            for widget in row.widgets:
                assert widget.toolTip().endswith((".", "keys.")), name
                assert widget.focusPolicy() != Qt.FocusPolicy.NoFocus or widget is row.label
            assert (row.box or row.check).accessibleName()
    expected = {*form_fields_of(AdamW), *form_fields_of(Cosine), *form_fields_of(TrainingConfig, "learning")}
    assert set(tuner.rows()) == expected | set(form_fields_of(TrainingConfig, "ending"))
    # What was chosen before is kept, and another brings its own numbers.
    tuner.choose(tuner.view.optimizer, "adamw")
    tuner.type("rate", "0.007")
    tuner.choose(tuner.view.optimizer, "sgd")
    assert set(tuner.view.optimizer_form.rows) == {"rate", "momentum", "nesterov"}
    assert tuner.config.optimizer == SGD()
    tuner.choose(tuner.view.optimizer, "adamw")
    assert tuner.config.optimizer == AdamW(0.007, decay=0.02)


def test_numbers_are_typed_and_moved_by_keys_and_what_is_left_out_is_ticked(tuner: Tuner) -> None:
    tuner.type("rate", "0.0123")
    tuner.type("decay", "1e-3")
    tuner.type("l2", "0,05")
    assert tuner.config.optimizer == AdamW(0.0123, decay=0.001)
    assert tuner.config.l2 == 0.05
    box = tuner.rows()["rate"].box
    QTest.keyClick(box, Qt.Key.Key_Up)
    assert tuner.config.optimizer.rate == 0.02
    QTest.keyClick(tuner.rows()["batch"].box, Qt.Key.Key_Down)
    assert tuner.config.batch == 63
    tuner.type("warmup", "7 %")
    assert tuner.config.schedule == Cosine(0.05, warmup=0.07)
    assert tuner.rows()["warmup"].box.text() == "7 %"
    assert not tuner.rows()["clip"].box.isEnabled()
    tuner.tick("clip")
    assert tuner.config.clip == 1.0
    tuner.type("clip", "2.5")
    assert tuner.config.clip == 2.5
    tuner.tick("clip")
    assert tuner.config.clip is None
    assert not tuner.rows()["clip"].box.text()


def test_what_cannot_be_is_one_sentence_and_changes_nothing(tuner: Tuner) -> None:
    tuner.choose(tuner.view.optimizer, "sgd")
    before = tuner.config
    for name, text, sentence in (
        ("rate", "0", "learning rate must be a number above 0"),
        ("momentum", "1.5", "momentum must be at least 0 and below 1"),
        ("batch", "0", "batch of at least 1"),
        ("epochs", "-3", "epochs of at least 1"),
        ("batch", "2.5", "“2.5” is not a valid number"),
        ("rate", "-", "“-” is not a valid number"),
    ):
        tuner.type(name, text)
        assert sentence in tuner.said, text
        assert tuner.config == before
    assert tuner.rows()["batch"].box.text() == "64"
    tuner.type("momentum", "0")
    tuner.tick("nesterov")
    assert "Nesterov's look ahead needs a momentum" in tuner.said
    assert not tuner.rows()["nesterov"].check.isChecked()
    assert tuner.config.optimizer == SGD(before.optimizer.rate, 0.0)


def test_a_kind_that_nobody_knew_of_gets_its_rows(
    open_window, qtbot: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Zigzag(Schedule):
        kind = "zigzag"
        title = "Zigzag"
        turns: int = field(default=4, metadata=form_field(FormField("turns", "How often it turns.", 1)))
        sharp: bool = field(default=False, metadata=form_field(FormField("sharp", "Whether it turns at once.")))

    monkeypatch.setitem(SCHEDULES, "zigzag", Zigzag)
    tuner = Tuner(open_window("--preset", "default"), qtbot)
    tuner.choose(tuner.view.schedule, "zigzag")
    tuner.type("turns", "7")
    tuner.tick("sharp")
    assert tuner.config.schedule == Zigzag(7, True)


def test_frozen_layers_do_not_change_and_are_named_as_on_the_screen(tuner: Tuner) -> None:
    boxes = tuner.view.layer_boxes
    assert [box.text() for box in boxes.values()] == ["Features 1", "Features 2", "Features 3", "Hidden", "Votes"]
    tuner.tick_box(boxes["conv2d-1"])
    assert tuner.config.frozen == ("conv2d-1",)
    tuner.click(tuner.panel.step_button)
    first = tuner.stand() and tuner.weights
    votes = tuner.window.session.document.models[0].parameters["dense-2.weight"]
    tuner.click(tuner.panel.step_button)
    tuner.until(lambda training: training.current_point.step == 2)
    tuner.stand()
    np.testing.assert_array_equal(tuner.weights, first)
    assert not np.array_equal(tuner.window.session.document.models[0].parameters["dense-2.weight"], votes)
    for name in ("conv2d-2", "conv2d-3", "dense-1", "dense-2"):
        tuner.tick_box(boxes[name])
    assert "training changes nothing" in tuner.view.status_label.text()
    tuner.window.menus.actions["preset-walkthrough"].trigger()
    assert [box.text() for box in tuner.view.layer_boxes.values()] == ["Features"]
    assert tuner.config.frozen == ()


def test_changes_on_the_way_are_marked_with_words(tuner: Tuner) -> None:
    tuner.click(tuner.panel.main_button)
    tuner.until(lambda training: training.current_point.step >= 2)
    # What is seen of a run is always a little behind: it is waited for the change itself, not for some steps.
    tuner.type("rate", "0.01")
    tuner.until(lambda training: len(training.branches[0].marks) == 1)
    tuner.choose(tuner.view.optimizer, "sgd")
    tuner.until(lambda training: len(training.branches[0].marks) == 2)
    tuner.click(tuner.panel.main_button)
    marks = tuner.stand().branches[0].marks
    assert marks[0].text == "rate 0.01"
    assert marks[-1].text == "SGD, momentum 0.9"
    assert [mark.step for mark in marks] == sorted({mark.step for mark in marks})


def test_a_stop_says_which_and_train_goes_on_only_when_it_is_lifted(tuner: Tuner) -> None:
    tuner.tick("steps")
    assert tuner.config.steps == 1_000
    tuner.type("steps", "12")
    tuner.click(tuner.panel.main_button)
    tuner.until(lambda training: training.state == "ended")
    undo = (tuner.stand(), tuner.window.session.undo_stack.count())[1]
    words = "Step 12 was the last one set: raise the limit or remove it to resume."
    assert tuner.view.status_label.text() == tuner.panel.status_label.text() == words
    assert tuner.rows()["steps"].check.font().bold() or tuner.rows()["steps"].check.font().weight() > 500
    for button in (tuner.panel.main_button, tuner.panel.step_button, tuner.panel.epoch_button):
        tuner.window.show_message("")
        tuner.click(button)
        tuner.qtbot.wait(50)
        assert tuner.said == words
        assert tuner.training.current_point.step == 12
    assert tuner.window.session.undo_stack.count() == undo
    assert len(tuner.training.branches) == 1
    tuner.tick("steps")
    tuner.until(lambda training: training.state == "paused")
    assert not tuner.view.status_label.isVisible()
    tuner.click(tuner.panel.step_button)
    tuner.until(lambda training: training.current_point.step == 13)
    assert tuner.stand().state == "paused"


def test_why_it_stopped(tuner: Tuner) -> None:
    for name, value, words in (
        ("epochs", "1", "Epoch 1 of 1 is done: raise the number of epochs"),
        ("target", "20", "%: raise the target"),
        ("seconds", "0.05", "The 0.05 s of training are over"),
        ("patience", "1", "No lower error in the last epoch"),
    ):
        tuner.window.training.execute(SetConfig(TUNED))
        if tuner.rows()[name].check is not None:
            tuner.tick(name)
        if name == "patience":
            tuner.choose(tuner.view.optimizer, "sgd")
            tuner.type("rate", "0.5")
        tuner.type(name, value)
        tuner.click(tuner.panel.reset_button)
        goal = tuner.window.training.request.run_id
        tuner.until(lambda training, goal=goal: training.run_id == goal and training.state == "paused")
        tuner.click(tuner.panel.main_button)
        tuner.until(lambda training: training.state == "ended")
        tuner.stand()
        assert words in tuner.panel.status_label.text(), name
    best = tuner.training.restart_point.step
    assert best == tuner.training.current_point.step - 10
    assert tuner.panel.main_button.text() == "▶ Resume"
    assert tuner.panel.restart_button.text() == f"Go to step {best}"
    tuner.click(tuner.panel.restart_button)
    tuner.until(lambda training: training.is_exact and training.shown_point.step == best)


def test_the_curve_knows_where_training_stands(tuner: Tuner) -> None:
    assert tuner.view.curve.text == "now 0.003 · step 0 of 600"
    tuner.click(tuner.panel.epoch_button)
    tuner.until(lambda training: training.current_point.step == 10)
    tuner.stand()
    assert tuner.view.curve.text == "now 0.003 · step 10 of 600"
    before = tuner.view.curve.grab().toImage()
    tuner.type("epochs", "2")
    assert tuner.view.curve.text == "now 0.00158 · step 10 of 20"
    assert tuner.view.curve.grab().toImage() != before


def test_what_is_being_typed_stays_while_it_trains(tuner: Tuner) -> None:
    tuner.click(tuner.panel.main_button)
    tuner.until(lambda training: training.current_point.step >= 1)
    box = tuner.rows()["rate"].box
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "0.0")
    made = tuner.training.current_point.step
    tuner.until(lambda training: training.current_point.step > made + 3)
    QTest.keyClicks(box, "05")
    assert isinstance(box, NumberEdit)
    assert box.text() == "0.005"
    QTest.keyClick(box, Qt.Key.Key_Escape)
    assert box.text() == "0.003"
    assert tuner.config.optimizer.rate == 0.003
    tuner.click(tuner.panel.main_button)
    tuner.stand()


def test_boxes_of_many_layers_come_while_somebody_looks_and_forget_nothing(qtbot) -> None:
    network = Network((1, 4, 4), (*(Conv2D(1, 1) for _ in range(80)), Flatten(), Dense(2)), classes=("X", "O"))
    layers = FrozenLayers()
    qtbot.addWidget(layers)
    layers.set_network(network)
    layers.set_frozen(("conv2d-1", "conv2d-80"))
    assert len(layers.boxes) < 81, "not all at once"
    wished: list[tuple[str, ...]] = []
    layers.chosen.connect(wished.append)
    layers.boxes["conv2d-2"].click()
    assert set(wished[-1]) == {"conv2d-1", "conv2d-2", "conv2d-80"}
    layers.show()
    qtbot.waitUntil(lambda: len(layers.boxes) == 81)
    assert layers.boxes["conv2d-80"].isChecked()
    assert not layers.all_frozen
    layers.set_frozen(network.names)
    assert layers.all_frozen


def test_a_number_that_is_being_typed_ends_with_the_form_it_is_of(tuner: Tuner) -> None:
    tuner.choose(tuner.view.optimizer, "sgd")
    before = tuner.config
    for name, text, change in (
        ("momentum", "0.5", replace(before, optimizer=Adam())),
        ("warmup", "50 %", replace(before, schedule=StepDecay())),
        ("clip", "3", replace(before, clip=None)),
    ):
        tuner.window.training.execute(SetConfig(replace(before, schedule=Cosine(), clip=1.0)))
        box = tuner.rows()[name].box
        box.setFocus()
        box.selectAll()
        QTest.keyClicks(box, text)
        tuner.window.training.execute(SetConfig(change))
        tuner.view.optimizer.setFocus()
        assert tuner.config == change
        tuner.window.training.execute(SetConfig(before))

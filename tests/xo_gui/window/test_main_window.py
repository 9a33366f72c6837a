"""The main window: drawings are predicted while the mouse moves; files, clipboard, themes, layout and menus."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import (
    QAction,
    QColor,
    QDragEnterEvent,
    QDropEvent,
    QImage,
    QKeySequence,
    QStatusTipEvent,
)
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QTabBar,
    QWidget,
)

from engine.data.xo import ARTICLE_PICTURES
from engine.documents import save_model, shipped_model
from engine.nn import Model, Network
from engine.nn.layers import Dense, Flatten
from tests.xo_gui.conftest import CIRCLE, X_ARMS, Hand, OpenWindow
from xo_gui.app import DARK
from xo_gui.app.theme import LIGHT
from xo_gui.state import OneStep
from xo_gui.window import MainWindow


def test_an_x_drawn_with_the_mouse_is_read_as_an_x(hand: Hand) -> None:
    hand.draw(X_ARMS)
    assert hand.votes["X"] > 0.9
    assert hand.window.last.predictions[0].predicted_class == "X"
    assert "X" in hand.votes_text


def test_an_o_drawn_with_the_mouse_is_read_as_an_o(hand: Hand) -> None:
    hand.draw(CIRCLE)
    assert hand.votes["O"] > 0.9
    assert hand.window.last.predictions[0].predicted_class == "O"


@pytest.mark.parametrize(("scale", "x", "y"), [(0.45, 0.05, 0.5), (0.45, 0.5, 0.05), (0.6, 0.38, 0.35)])
def test_small_and_off_centre_drawings_are_read_too(hand: Hand, scale: float, x: float, y: float) -> None:
    for strokes, letter in ((X_ARMS, "X"), (CIRCLE, "O")):
        hand.window.drawing_view.clear()
        hand.draw([[(x + scale * px, y + scale * py) for px, py in stroke] for stroke in strokes])
        assert hand.window.last.predictions[0].predicted_class == letter


def test_one_arm_and_a_blank_canvas_are_unsure(hand: Hand) -> None:
    hand.settle()
    assert hand.window.last.predictions[0].predicted_class == "unsure"
    hand.draw(X_ARMS[:1])
    assert hand.window.last.predictions[0].predicted_class == "unsure"
    assert max(hand.votes.values()) < 0.85


def test_maps_and_votes_follow_while_the_button_is_down(hand: Hand) -> None:
    hand.press(X_ARMS[0][0])
    seen = []
    for place in X_ARMS[0][1:]:
        hand.move(place)
        hand.settle()
        seen.append(hand.window.last.predictions[0].activations[1].copy())
        assert hand.window.last.settled is False
    assert all(not np.array_equal(a, b) for a, b in pairwise(seen))
    assert not hand.window.session.undo_stack.canUndo()


def test_the_picture_of_the_network_changes_on_the_screen(hand: Hand) -> None:
    before = hand.window.network_view.grab().toImage()
    hand.draw(X_ARMS)
    hand.qtbot.wait(50)
    assert hand.window.network_view.grab().toImage() != before


def test_right_button_erases_and_undo_brings_back(hand: Hand) -> None:
    hand.draw(X_ARMS)
    ink = float((hand.window.last.predictions[0].activations[0] > 0).sum())
    hand.draw(X_ARMS[:1], Qt.MouseButton.RightButton)
    assert float((hand.window.last.predictions[0].activations[0] > 0).sum()) < 0.7 * ink
    hand.window.session.undo_stack.undo()
    hand.settle()
    assert float((hand.window.last.predictions[0].activations[0] > 0).sum()) == ink


def test_twenty_edits_undone_and_redone_give_the_same_bytes(hand: Hand) -> None:
    for number in range(20):
        hand.draw([[(0.1 + number / 30, 0.1), (0.1 + number / 30, 0.9)]])
    end = hand.window.last.predictions[0].activations[0].tobytes()
    for _ in range(20):
        hand.window.session.undo_stack.undo()
    hand.settle()
    assert (hand.window.last.predictions[0].activations[0] == -1).all()
    for _ in range(20):
        hand.window.session.undo_stack.redo()
    hand.settle()
    assert hand.window.last.predictions[0].activations[0].tobytes() == end


def test_the_networks_can_be_switched_and_the_drawing_stays(hand: Hand) -> None:
    hand.draw(X_ARMS)
    drawing = hand.window.session.document.input.source
    hand.window.menus.actions["preset-walkthrough"].trigger()
    hand.settle()
    assert hand.window.last.predictions[0].activations[0].shape == (1, 9, 9)
    assert hand.window.last.predictions[0].predicted_class == "X"
    assert hand.window.session.document.input.source is drawing
    hand.window.session.undo_stack.undo()
    hand.settle()
    assert hand.window.last.predictions[0].activations[0].shape == (1, 48, 48)
    assert hand.window.menus.actions["preset-default"].isChecked()


def test_hanuschkin_s_network_reads_an_x_with_the_first_class_and_its_colour(hand: Hand) -> None:
    hand.draw(X_ARMS)
    hand.window.menus.actions["preset-hanuschkin"].trigger()
    hand.settle()
    assert hand.window.last.predictions[0].model.network.classes == ("X", "O")
    assert hand.votes["X"] > 0.8
    assert [output.shape[-1] for output in hand.window.last.predictions[0].activations[:4]] == [116, 116, 115, 115]
    hand.window.drawing_view.clear()
    hand.draw(CIRCLE)
    hand.settle()
    assert hand.votes["O"] > 0.8


def test_the_walkthrough_s_example_x_has_the_article_s_votes(open_window: OpenWindow, qtbot) -> None:
    hand = Hand(open_window("--preset", "walkthrough"), qtbot)
    hand.window.drawing_view.load_example("X")
    hand.settle()
    assert hand.votes == pytest.approx({"X": 1.0, "O": 5 / 9}, abs=1e-6)
    hand.window.drawing_view.clear()
    hand.window.drawing_view.load_example("O")
    hand.settle()
    assert hand.votes == pytest.approx({"X": 5 / 9, "O": 1.0}, abs=1e-6)


def test_the_sliders_move_the_drawing_but_not_its_source(hand: Hand) -> None:
    hand.draw(X_ARMS)
    strokes = hand.window.session.document.input.source.strokes
    before = hand.window.last.predictions[0].activations[0].copy()
    sliders = hand.window.drawing_view.findChildren(QAbstractSlider)
    moved = 0
    for slider in sliders:
        if "pen" in slider.accessibleName().lower():
            continue
        slider.setFocus()
        QTest.keyClick(slider, Qt.Key.Key_PageUp)
        hand.settle()
        assert not np.array_equal(hand.window.last.predictions[0].activations[0], before)
        moved += 1
        hand.window.drawing_view.reset_transform()
        hand.settle()
        np.testing.assert_array_equal(hand.window.last.predictions[0].activations[0], before)
    assert moved == 6
    assert hand.window.session.document.input.source.strokes is strokes


def test_the_status_bar_says_device_reason_and_latency(hand: Hand) -> None:
    hand.draw(X_ARMS)
    hand.qtbot.wait(300)
    hand.draw(CIRCLE)
    texts = " ".join(label.text() for label in hand.window.statusBar().findChildren(QLabel))
    assert "CPU · chosen" in texts
    assert "ms from stroke to picture" in texts
    assert "seed 1" in texts


def test_numbers_that_change_all_the_time_move_nothing_beside_them(hand: Hand) -> None:
    bar = hand.window.statusBar()
    label = bar.findChildren(QLabel)[-1]
    others = [each for each in bar.findChildren(QLabel) if each is not label and each.text()]
    label.setText("11.8 ms from stroke to picture · engine 10.2 ms")
    hand.qtbot.wait(30)
    places = [each.x() for each in others]
    for text in ("9.1 ms from stroke to picture · engine 1.1 ms", "11.1 ms from stroke to picture · engine 8.8 ms"):
        label.setText(text)
        hand.qtbot.wait(30)
        assert [each.x() for each in others] == places
        assert label.width() >= label.fontMetrics().horizontalAdvance(text) + 20  # with its margins
    label.setText("engine 1.1 ms")
    hand.qtbot.wait(30)
    assert label.width() < label.fontMetrics().horizontalAdvance("engine 1.1 ms") + 50


def test_light_and_dark_switch_live(hand: Hand) -> None:
    for name, theme in (("light", LIGHT), ("dark", DARK)):
        hand.window.menus.actions[f"theme-{name}"].trigger()
        hand.qtbot.wait(30)
        image = hand.window.grab().toImage()
        corner = QColor(image.pixel(hand.window.width() - 3, hand.window.height() // 2))
        assert corner == QColor(theme.background)


# -- files ----------------------------------------------------------------------------------------------------


def picture_file(path: Path, dark_on_light: bool) -> Path:
    pixels = np.full((64, 64), 0, np.uint8)
    for i in range(8, 56):
        pixels[i - 2 : i + 3, i - 2 : i + 3] = 255
        pixels[i - 2 : i + 3, 61 - i : 66 - i] = 255
    Image.fromarray(255 - pixels if dark_on_light else pixels).save(path)
    return path


def drop(window: object, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    place, action = QPointF(600, 400), Qt.DropAction.CopyAction
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    entering = QDragEnterEvent(place.toPoint(), action, data, buttons, keys)
    QApplication.sendEvent(window, entering)
    assert entering.isAccepted()
    QApplication.sendEvent(window, QDropEvent(place, action, data, buttons, keys))


@pytest.mark.parametrize("dark_on_light", [True, False])
def test_a_dropped_picture_becomes_the_drawing_and_is_read(hand: Hand, tmp_path, dark_on_light: bool) -> None:
    drop(hand.window, picture_file(tmp_path / "cross.png", dark_on_light))
    hand.qtbot.waitUntil(lambda: hand.window.session.document.input.source.image is not None, timeout=5000)
    hand.settle()
    assert hand.window.last.predictions[0].predicted_class == "X"
    hand.window.import_export.fill_recent()
    assert hand.window.menus.menus["recent"].actions()[0].statusTip() == str(tmp_path / "cross.png")


def test_of_several_files_the_first_is_opened_and_that_is_said(hand: Hand, tmp_path) -> None:
    first, second = (picture_file(tmp_path / name, True) for name in ("first.png", "second.png"))
    drop(hand.window, first, second)
    hand.qtbot.waitUntil(lambda: hand.window.session.document.input.source.image is not None, timeout=5000)
    words = "first.png is the drawing now; Invert and Crop are below it."
    rest = "One file at a time: the others were not opened."
    assert hand.window.statusBar().currentMessage() == f"{words} {rest}"
    drop(hand.window, second)
    hand.qtbot.waitUntil(lambda: hand.window.statusBar().currentMessage().startswith("second.png is the drawing"))


def test_a_wrong_file_says_so_and_changes_nothing(hand: Hand, tmp_path) -> None:
    hand.draw(X_ARMS)
    document = hand.window.session.document
    for name, content in (("notes.png", b"hello"), ("empty.png", b""), ("bad.safetensors", b"\0" * 40)):
        path = tmp_path / name
        path.write_bytes(content)
        drop(hand.window, path)
        hand.qtbot.waitUntil(lambda name=name: name in hand.window.statusBar().currentMessage(), timeout=5000)
        hand.qtbot.waitUntil(
            lambda: not hand.window.statusBar().currentMessage().startswith("Opening"), timeout=5000
        )
        assert hand.window.session.document is document


def test_a_network_that_reads_no_drawing_is_refused_and_nothing_changes(hand: Hand, tmp_path) -> None:
    window, network = hand.window, Network((1, 1, 1), (Flatten(), Dense(2)), classes=("X", "O"))
    hand.draw(X_ARMS)
    model, path = Model("Tiny", network, network.initial_parameters(1)), tmp_path / "tiny.safetensors"
    save_model(path, model)
    facts = [label.text() for label in window.statusBar().findChildren(QLabel)][:1]
    before = window.session.document, window.windowTitle(), facts, hand.votes_text
    for open_it in (window.import_export.open_path, window.import_export.compare_with):
        open_it(path)
        hand.qtbot.waitUntil(lambda: "4 × 4" in window.statusBar().currentMessage(), timeout=5000)
        window.show_message("")
    window.comparison.compare_with(model)
    assert "4 × 4" in window.statusBar().currentMessage()
    with pytest.raises(ValueError, match="4 × 4"):
        window.use_model(model)
    hand.qtbot.wait(50)
    facts = [label.text() for label in window.statusBar().findChildren(QLabel)][:1]
    assert before == (window.session.document, window.windowTitle(), facts, hand.votes_text)


def test_a_model_saved_and_dropped_reads_the_drawing(hand: Hand, tmp_path) -> None:
    path = tmp_path / "mine.safetensors"
    save_model(path, shipped_model("walkthrough"))
    drop(hand.window, path)
    hand.qtbot.waitUntil(lambda: hand.window.session.document.models[0].name == "Walk-through", timeout=5000)
    hand.settle()


def test_copy_and_paste_carry_the_drawing(hand: Hand) -> None:
    hand.draw(X_ARMS)
    hand.canvas.setFocus()
    hand.window.import_export.copy()
    hand.window.drawing_view.clear()
    hand.window.import_export.paste()
    hand.settle()
    assert hand.window.session.document.input.source.image is not None
    assert hand.window.last.predictions[0].predicted_class == "X"


def test_pasting_nothing_says_so(hand: Hand) -> None:
    QApplication.clipboard().setText("words")
    document = hand.window.session.document
    hand.window.import_export.paste()
    assert "no picture" in hand.window.statusBar().currentMessage()
    assert hand.window.session.document is document


def test_a_pasted_dark_on_light_picture_is_inverted(hand: Hand) -> None:
    image = QImage(40, 40, QImage.Format.Format_RGB32)
    image.fill(QColor("white"))
    for i in range(10, 30):
        image.setPixelColor(20, i, QColor("black"))
    QApplication.clipboard().setImage(image)
    hand.window.import_export.paste()
    pasted = hand.window.session.document.input.source.image
    assert pasted[20, 20] == 1
    assert pasted[0, 0] == -1


def test_a_pasted_picture_on_nothing_is_its_strokes(hand: Hand) -> None:
    for form in (
        QImage.Format.Format_ARGB32,
        QImage.Format.Format_ARGB32_Premultiplied,
        QImage.Format.Format_Indexed8,
    ):
        image = QImage(30, 40, QImage.Format.Format_ARGB32)
        image.fill(QColor(0, 0, 0, 0))
        for row in range(10, 30):
            image.setPixelColor(15, row, QColor(0, 0, 0))
        QApplication.clipboard().setImage(image.convertToFormat(form))
        hand.window.import_export.paste()
        pasted = hand.window.session.document.input.source.image
        assert (pasted[10:30, 15] == 1).all()
        assert (pasted > 0).sum() == 20


# -- menus, keys, accessibility -------------------------------------------------------------------------------


def actions(menu: object) -> list[QAction]:
    found = []
    for action in menu.actions():
        if action.menu():
            found += actions(action.menu())
        elif not action.isSeparator():
            found.append(action)
    return found


def test_every_action_has_a_mnemonic_or_a_name_a_tip_and_its_own_keys(hand: Hand) -> None:
    owners: dict[str, str] = {}
    listed = actions(hand.window.menuBar())
    assert len(listed) > 15
    for action in listed:
        assert action.text()
        assert action.statusTip(), action.text()
        for keys in action.shortcuts():
            text = keys.toString(QKeySequence.SequenceFormat.PortableText)
            assert text not in owners, f"{text} belongs to {owners.get(text)} and {action.text()}"
            owners[text] = action.text()
    titles = [action.text() for action in hand.window.menuBar().actions()]
    assert all("&" in title for title in titles)


def test_every_control_has_an_accessible_name(hand: Hand) -> None:
    controls = hand.window.findChildren(QAbstractButton) + hand.window.findChildren(QAbstractSlider)
    nameless = [
        control
        for control in controls
        if control.isVisible() and not (control.accessibleName() or getattr(control, "text", lambda: "")())
    ]
    assert nameless == []


def test_scroll_areas_edits_and_tabs_have_accessible_names_too(hand: Hand) -> None:
    window = hand.window
    hand.qtbot.wait(20)  # rows of tabs are named when they have settled
    kinds = (QAbstractScrollArea, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit, QTabBar)
    controls = [one for one in window.findChildren(QWidget) if isinstance(one, kinds)]
    assert len(controls) > 60
    assert [
        one for one in controls if not one.accessibleName() and not (isinstance(one, QTabBar) and one.isHidden())
    ] == []
    tabs = window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly)
    assert "Training, Settings" in {bar.accessibleName() for bar in tabs}


def test_help_opens_and_closes(hand: Hand) -> None:
    for show in (hand.window.show_keys, hand.window.show_about):
        show()
        dialog = QApplication.activeModalWidget()
        assert dialog is not None
        assert dialog.findChildren(QLabel)
        dialog.close()


def test_layout_is_kept_and_can_be_reset(hand: Hand) -> None:
    dock = hand.window.panels.all[1]
    dock.hide()
    hand.window.reset_layout()
    assert dock.isVisible()


def test_a_sentence_is_not_wiped_out_by_what_the_mouse_passes_over(hand: Hand) -> None:
    window, sentence = hand.window, "Something went wrong, and this says what to do. " * 4
    QApplication.sendEvent(window, QStatusTipEvent("a tip"))
    assert window.statusBar().currentMessage() == "a tip"
    window.show_message(sentence)
    for tip in ("another tip", ""):
        QApplication.sendEvent(window, QStatusTipEvent(tip))
        assert window.statusBar().currentMessage() == sentence
    assert window.statusBar().toolTip() == sentence


def test_a_sentence_ends_with_what_it_is_about(hand: Hand, tmp_path) -> None:
    window, bar = hand.window, hand.window.statusBar()
    window.training.execute(OneStep())
    hand.qtbot.waitUntil(lambda: window.last.training is not None, timeout=10_000)
    window.menus.actions["preset-hanuschkin"].trigger()
    window.menus.actions["preset-default"].trigger()
    assert "as you left it" in bar.currentMessage()
    window.menus.actions["preset-walkthrough"].trigger()
    assert bar.currentMessage() == "", "of the network left"
    drop(window, picture_file(tmp_path / "cross.png", True))
    hand.qtbot.waitUntil(lambda: bar.currentMessage().startswith("cross.png is the drawing now"), timeout=5000)
    hand.draw(X_ARMS[:1])
    assert bar.currentMessage() == "", "the drawing is another now"
    hand.settle()


def test_opening_is_said_as_long_as_it_takes_and_no_longer(hand: Hand, tmp_path) -> None:
    window, bar, path = hand.window, hand.window.statusBar(), tmp_path / "other.safetensors"
    save_model(path, shipped_model("default"))
    window.import_export.compare_with(path)
    assert bar.currentMessage() == "Opening other.safetensors…"
    bar._end_message()
    assert bar.currentMessage() == "Opening other.safetensors…", "it has been read, but goes on"
    hand.qtbot.waitUntil(lambda: len(window.session.document.models) == 2, timeout=5000)
    hand.settle()
    assert not bar.currentMessage().startswith("Opening")


def test_full_screen_and_redo_have_the_keys_people_expect_on_any_desktop(hand: Hand) -> None:
    keys = {key.toString() for action in hand.window.findChildren(QAction) for key in action.shortcuts()}
    assert {"F11", "Ctrl+Y", "Ctrl+Shift+Z"} <= keys


def test_undo_in_the_middle_of_a_stroke_takes_back_that_stroke_alone(hand: Hand) -> None:
    hand.draw(X_ARMS[:1])
    kept = hand.window.session.document.input.source
    hand.press(X_ARMS[1][0])
    hand.move(X_ARMS[1][6])
    QTest.keyClick(hand.canvas, "z", Qt.KeyboardModifier.ControlModifier)
    hand.settle()
    assert hand.window.session.document.input.source == kept
    assert hand.canvas.current_drawing == kept


def test_a_network_chosen_in_the_middle_of_a_stroke_ends_it_as_an_edit_of_its_own(hand: Hand, tmp_path) -> None:
    session, model = hand.window.session, tmp_path / "other.safetensors"
    save_model(model, session.document.models[0])
    QTest.keyClick(hand.canvas, Qt.Key.Key_Space)
    for _ in range(4):
        QTest.keyClick(hand.canvas, Qt.Key.Key_Right)
    hand.window.import_export.open_path(model)
    hand.qtbot.waitUntil(lambda: session.undo_stack.count() == 2, timeout=5000)
    QTest.keyClick(hand.canvas, Qt.Key.Key_Escape)
    hand.settle()
    assert session.request().settled
    assert hand.canvas.current_drawing is session.document.input.source
    assert len(session.document.input.source.strokes) == 1


def test_a_row_of_tabs_that_qt_has_forgotten_is_hidden_and_the_others_stay(
    window: MainWindow, qtbot: object
) -> None:
    forgotten = QTabBar(window)
    forgotten.addTab("Training")
    forgotten.setGeometry(400, 200, 200, 28)
    forgotten.show()
    window.reset_layout()
    qtbot.waitUntil(lambda: not forgotten.isVisible(), timeout=10_000)
    rows = window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly)
    assert sorted(row.tabText(0) for row in rows if row.isVisible()) == [
        "Curves", "Features over time", "Training", "Votes",
    ]  # fmt: skip


def test_the_walk_through_opens_on_the_articles_x(hand: Hand, open_window: OpenWindow) -> None:
    """In place of a blank canvas or an example, as one undo with the network; a drawing of the user's is kept."""
    window, article = hand.window, ARTICLE_PICTURES["X"]

    def choose(name: str) -> np.ndarray:
        window.use_preset(name)
        hand.settle()
        return window.session.document.encoded(window.session.document.models[0])[0]

    np.testing.assert_array_equal(choose("walkthrough"), article)
    assert hand.votes_text == "X, 1.00; O, 0.56"
    window.session.undo_stack.undo()
    assert window.session.document.models[0].name == "Default"
    assert window.session.document.input.source.is_empty
    window.input_view.load_example("O")
    np.testing.assert_array_equal(choose("walkthrough"), article)
    window.use_preset("default")
    window.input_view.clear()
    hand.draw(X_ARMS)
    drawn = window.session.document.input.source
    choose("walkthrough")
    assert window.session.document.input.source is drawn
    started = open_window("--preset", "walkthrough")
    np.testing.assert_array_equal(started.session.document.input.source.image, article)

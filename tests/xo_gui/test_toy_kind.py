"""A kind of data that only the tests have, added to the one table, is seen wherever the window shows a kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QVBoxLayout

from engine.data import PoolSettings
from engine.documents import Document, ProjectState, save_project, shipped_model
from engine.documents.project_file import load_project
from engine.drawings import Drawing
from engine.nn import Model, Network
from engine.nn.layers import Dense, Flatten
from tests.toy_kind import Row, RowKind, ToyKind, ToySettings
from tests.xo_gui.conftest import Hand
from xo_gui.state import OneStep, SetData
from xo_gui.views.data import InputView
from xo_gui.window.panels import INPUT_VIEWS


def slope() -> Model:
    """Reads a row as what it is."""
    network = Network((1, 1, 4), (Flatten(), Dense(2)), classes=("rising", "falling"))
    values = {name: np.zeros(shape, np.float32) for name, shape in network.parameter_shapes.items()}
    (weight,) = (name for name in values if name.endswith("weight"))
    values[weight] = np.array([[-1, 0, 0, 1], [1, 0, 0, -1]], np.float32).reshape(values[weight].shape)
    return Model("Slope", network, values)


NETWORK = Network((1, 8, 8), (Flatten(), Dense(2)), classes=("upright", "level"))


class Ruler(InputView):
    """An input view of the tests: says how much of the input is ink."""

    title = "Ruler"
    name = "ruler"

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.label = QLabel(self)
        QVBoxLayout(self).addWidget(self.label)

    def set_document(self, document: Document) -> None:
        super().set_document(document)
        image = document.encoded(document.models[0])
        self.label.setText(f"{(image > 0).mean():.2f}")


class RowView(InputView):
    """An input view of the tests: says the numbers of the row, and Up raises the last one."""

    title = "Row"
    name = "row"

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.label = QLabel(self)
        QVBoxLayout(self).addWidget(self.label)

    def set_document(self, document: Document) -> None:
        super().set_document(document)
        if self._document is not None:
            self.label.setText(" ".join(f"{value:.1f}" for value in document.input.source.values))

    def keyPressEvent(self, event) -> None:
        *others, last = self._document.input.source.values
        self.edited.emit(self._document.with_source(Row((*others, last + 0.5))), "Raise", "")


def bars() -> Model:
    """Reads a bar in the middle of the picture as what it is."""
    weight = np.zeros((2, 8, 8), np.float32)
    weight[0, :, 4], weight[1, 4] = 1, 1
    values = {name: np.zeros(shape, np.float32) for name, shape in NETWORK.parameter_shapes.items()}
    name = next(name for name in values if name.endswith("weight"))
    return Model("Bars", NETWORK, values | {name: weight.reshape(values[name].shape)})


def menu_texts(hand: Hand) -> list[str]:
    return [action.text().replace("&", "") for action in hand.window.menus.menus["data"].actions()]


def test_a_new_kind_is_seen_everywhere_in_the_window(
    toy: ToyKind, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, view = hand.window, hand.window.drawing_view
    before = menu_texts(hand)
    window.use_model(bars())
    hand.settle()
    # Examples, menu, keys and counts.
    assert list(view.example_buttons) == ["upright", "level", "neither"]
    assert "Save as upright" in menu_texts(hand)
    assert "Example of level" in menu_texts(hand)
    assert view.canvas._placeholder == "Draw an upright bar or a level bar"
    for _ in range(5):
        view.load_example("level")
    hand.settle()
    assert window.last.predictions[0].predicted_class == "level"
    assert window.last.comparison is None
    view.canvas.setFocus()
    QTest.keyClick(view.canvas, "l")
    assert window.session.document.labelled_samples[0].label == "level"
    assert window.statusBar().currentMessage() == "Saved as level: 0 upright, 1 level, 0 neither."
    # The page of the generator has a row for each setting of the kind.
    window.show_data()
    data = window.views[[type(one).__name__ for one in window.views].index("DataView")]
    assert list(data.drawings_page.label_buttons) == ["upright", "level", "neither"]
    data.page_buttons.button(1).click()
    page = data.generator_page
    assert {name: row.label.text() for name, row in page.rows.rows.items()} == {
        "thickness": "thickness of bars",
        "empty": "empty",
    }
    hand.qtbot.waitUntil(
        lambda: {"upright", "level"} <= {tile.label for tile in page.thumbnails.tiles}, timeout=9_000
    )
    page.rows.rows["empty"].slider.setValue(100)
    assert window.training.settings.data.generator == ToySettings(empty=0.5)
    # Training.
    window.training.execute(SetData(PoolSettings(ToySettings(), 40, 12)))
    window.training.execute(OneStep())
    hand.qtbot.waitUntil(
        lambda: window.last.training is not None and window.last.training.current_point.step == 1, timeout=20_000
    )
    assert window.last.training.examples.classes == toy.class_names
    assert "--data toy" in window.training.as_command_line("cpu").command
    # A project file brings all of it back.
    state = window.training.project_state()
    assert isinstance(state, ProjectState)
    assert state.data.generator == ToySettings()
    # Its own input view takes the place of the canvas, and gives it back.
    monkeypatch.setitem(INPUT_VIEWS, "ruler", Ruler)
    monkeypatch.setattr(ToyKind, "input_view", "ruler")
    window.session.edit(window.session.document.with_source(Drawing(image=np.ones((8, 8), np.float32))), "Fill")
    ruler = next(one for one in window.views if isinstance(one, Ruler))
    assert (ruler.isVisible(), ruler.label.text(), view.isVisible()) == (True, "1.00", False)
    window.use_preset("default")
    hand.settle()
    assert (ruler.isVisible(), view.isVisible()) == (False, True)
    assert menu_texts(hand) == before
    assert list(view.example_buttons) == ["X", "O", "neither"]


def test_an_input_that_is_no_drawing_goes_through_the_whole_window(
    rows: RowKind, hand: Hand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(INPUT_VIEWS, "row", RowView)
    window, undo = hand.window, hand.window.session.undo_stack
    hand.draw([[(0.2, 0.2), (0.8, 0.8)]])
    drawing = window.session.document.input.source
    window.use_model(slope())
    hand.settle()
    view = window.input_view
    assert isinstance(view, RowView)
    assert (view.isVisible(), window.drawing_view.isVisible(), view.label.text()) == (
        True,
        False,
        "0.0 0.0 0.0 0.0",
    )
    # Examples, labels and their keys, clearing, as for drawings; what only a canvas has is off.
    assert "Example of falling" in menu_texts(hand)
    menus = window.menus.actions
    assert not any(menus[name].isEnabled() for name in ("invert", "crop", "reset-transform"))
    menus["example-falling"].trigger()
    hand.settle()
    assert window.last.predictions[0].predicted_class == "falling"
    assert window.statusBar().currentMessage() == "falling, number 0"
    view.setFocus()
    QTest.keyClick(view, "f")
    assert window.statusBar().currentMessage() == "Saved as falling: 0 rising, 1 falling, 0 neither."
    menus["clear"].trigger()
    assert view.label.text() == "0.0 0.0 0.0 0.0"
    undo.undo()
    assert view.label.text() == "1.0 0.3 -0.3 -1.0"
    # An edit of its own view, undone as one of the canvas is.
    QTest.keyClick(view, Qt.Key.Key_Up)
    assert (undo.undoText(), view.label.text()) == ("Raise", "1.0 0.3 -0.3 -0.5")
    undo.undo()
    # A file is read as a row; a picture cannot be one.
    (tmp_path / "row.txt").write_text("-1 0 0 1")
    window.import_export.open_path(tmp_path / "row.txt")
    hand.qtbot.waitUntil(lambda: view.label.text() == "-1.0 0.0 0.0 1.0", timeout=5000)
    assert window.statusBar().currentMessage() == "row.txt is the row now."
    copied = QMimeData()
    copied.setImageData(QImage(8, 8, QImage.Format.Format_RGB32))
    window.import_export.drop(copied)
    assert window.statusBar().currentMessage() == "A picture cannot be used here: the network reads rows."
    # A network that reads drawings is not compared with one that reads rows, nor the other way round.
    window.comparison.compare_with(shipped_model("default"))
    assert window.statusBar().currentMessage() == "Default reads no rows."
    # A project file brings the row back, and undo the drawing.
    state = window.training.project_state()
    save_project(tmp_path / "a.session", state)
    found = load_project(tmp_path / "a.session").document
    assert found.input.source == Row((-1, 0, 0, 1))
    assert [each.label for each in found.labelled_samples] == ["falling"]
    while undo.canUndo() and window.session.document.kind is rows:
        undo.undo()
    assert window.session.document.input.source is drawing
    assert (view.isVisible(), window.drawing_view.isVisible()) == (False, True)
    assert window.drawing_view.canvas.current_drawing is drawing
    hand.settle()

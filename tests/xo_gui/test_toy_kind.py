"""A kind of data that only the tests have, added to the one table, is seen wherever the window shows a kind."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QVBoxLayout

from engine.data import PoolSettings
from engine.documents import Document, ProjectState
from engine.drawings import Drawing
from engine.nn import Model, Network
from engine.nn.layers import Dense, Flatten
from tests.toy_kind import ToyKind, ToySettings
from tests.xo_gui.conftest import Hand
from xo_gui.state import OneStep, SetData
from xo_gui.views import View
from xo_gui.window.panels import INPUT_VIEWS

NETWORK = Network((1, 8, 8), (Flatten(), Dense(2)), classes=("upright", "level"))


class Ruler(View):
    """An input view of the tests: says how much of the input is ink."""

    title = "Ruler"

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.label = QLabel(self)
        QVBoxLayout(self).addWidget(self.label)

    def set_document(self, document: Document) -> None:
        image = document.encoded(document.models[0])
        self.label.setText(f"{(image > 0).mean():.2f}")


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

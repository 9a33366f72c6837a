"""Which values the window needs: all of a small network, the visible and the explaining ones of a large one."""

from __future__ import annotations

import numpy as np

from engine.backends import choose_backend
from engine.documents import DEFAULT
from engine.explain import ModelDifference
from engine.nn import Model, Network, Predictor
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from xo_gui.state import CellRef
from xo_gui.state.visible_values import needed_channels
from xo_gui.views.compare.text import difference_summary
from xo_gui.views.inspector.value_text import downstream_text
from xo_gui.views.network import cell_summary
from xo_gui.widgets import NO_VALUE, signed_text

LARGE = Network(
    (1, 130, 130),
    (Conv2D(512, 3), ReLU(), MaxPool2D(), Conv2D(16, 3), ReLU(), MaxPool2D(), Flatten(), Dense(2)),
    classes=("X", "O"),
)
SHOWN = {0: range(1), 1: range(24)}


def test_a_small_network_is_wanted_whole() -> None:
    assert needed_channels(DEFAULT.network, {}, [(1, 3)]) is None


def test_of_a_large_one_what_is_in_view_is_wanted() -> None:
    assert needed_channels(LARGE, SHOWN, []) == SHOWN


def test_a_cell_looked_at_wants_all_that_it_was_made_of() -> None:
    assert needed_channels(LARGE, SHOWN, [(4, 7)])[3] == range(512)
    looked = needed_channels(LARGE, SHOWN, [(1, 2)])
    assert looked == SHOWN, "a map of the first features reads the drawing only, and is in view"


def test_a_cell_held_out_of_view_is_wanted_itself() -> None:
    assert 40 in needed_channels(LARGE, {}, [(1, 40)])[1]


def test_where_a_cell_goes_is_wanted_up_to_what_weighs_it() -> None:
    found = needed_channels(LARGE, {}, [(4, 7)])
    assert {4, 5, 6, 7} <= set(found)
    assert 8 not in found


def test_what_is_on_its_way_is_said_so_alone_and_in_a_comparison() -> None:
    model = Model("default", DEFAULT.network, DEFAULT.network.initial_parameters(1))
    reader, picture = Predictor(model, choose_backend("cpu")), np.ones((48, 48), np.float32)
    nothing, some = reader.predict(picture, {}), reader.predict(picture, {1: range(2, 4)})
    assert (
        cell_summary(nothing, CellRef(1, 2, 5, 5)).value
        == cell_summary(some, CellRef(1, 4, 5, 5)).value
        == NO_VALUE
    )
    assert "Features 1 · map 3" in cell_summary(nothing, CellRef(1, 2, 5, 5)).place
    value = float(reader.predict(picture).activations[1][2, 5, 5])
    assert cell_summary(some, CellRef(1, 2, 5, 5)).value == signed_text(value)
    assert difference_summary(ModelDifference.between(nothing, some), CellRef(1, 2, 5, 5)).value == NO_VALUE
    assert signed_text(value) in difference_summary(ModelDifference.between(some, some), CellRef(1, 2, 5, 5)).value
    vote = CellRef(len(DEFAULT.network.layers), 0)
    assert cell_summary(nothing, vote).value == signed_text(float(nothing.activations[-1][0])), (
        "scores always come along"
    )
    assert downstream_text(nothing, CellRef(1, 2, 5, 5)) == ""

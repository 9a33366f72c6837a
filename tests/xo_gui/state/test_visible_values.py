"""Which values the window needs: all of a small network, the visible and the explaining ones of a large one."""

from __future__ import annotations

import numpy as np

from engine.backends.backend import choose_backend
from engine.documents.presets import DEFAULT
from engine.explain.model_difference import Difference
from engine.nn.inference import Reader
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from engine.nn.model import Subject
from engine.nn.network import Network
from xo_gui.state.selection import Cell
from xo_gui.state.visible_values import wanted
from xo_gui.views.compare.text import say_difference
from xo_gui.views.inspector.value_text import goes_on
from xo_gui.views.network.value_text import say_cell
from xo_gui.widgets.number_text import NONE, signed

LARGE = Network(
    (1, 130, 130), (Conv2D(512, 3), ReLU(), MaxPool2D(), Conv2D(16, 3), ReLU(), MaxPool2D(), Flatten(), Dense(2))
)
SHOWN = {0: range(1), 1: range(24)}


def test_a_small_network_is_wanted_whole() -> None:
    assert wanted(DEFAULT.network, {}, [(1, 3)]) is None


def test_of_a_large_one_what_is_in_view_is_wanted() -> None:
    assert wanted(LARGE, SHOWN, []) == SHOWN


def test_a_cell_looked_at_wants_all_that_it_was_made_of() -> None:
    assert wanted(LARGE, SHOWN, [(4, 7)])[3] == range(512)
    looked = wanted(LARGE, SHOWN, [(1, 2)])
    assert looked == SHOWN, "a map of the first features reads the drawing only, and is in view"


def test_a_cell_held_out_of_view_is_wanted_itself() -> None:
    assert 40 in wanted(LARGE, {}, [(1, 40)])[1]


def test_where_a_cell_goes_is_wanted_up_to_what_weighs_it() -> None:
    found = wanted(LARGE, {}, [(4, 7)])
    assert {4, 5, 6, 7} <= set(found)
    assert 8 not in found


def test_what_is_on_its_way_is_said_so_alone_and_in_a_comparison() -> None:
    subject = Subject("default", DEFAULT.network, DEFAULT.network.initial(1))
    reader, picture = Reader(subject, choose_backend("cpu")), np.ones((32, 32), np.float32)
    nothing, some = reader.read(picture, {}), reader.read(picture, {1: range(2, 4)})
    assert say_cell(nothing, Cell(1, 2, 5, 5)).value == say_cell(some, Cell(1, 4, 5, 5)).value == NONE
    assert "Features 1 · map 3" in say_cell(nothing, Cell(1, 2, 5, 5)).place
    value = float(reader.read(picture).outputs[1][2, 5, 5])
    assert say_cell(some, Cell(1, 2, 5, 5)).value == signed(value)
    assert say_difference(Difference.between(nothing, some), Cell(1, 2, 5, 5)).value == NONE
    assert signed(value) in say_difference(Difference.between(some, some), Cell(1, 2, 5, 5)).value
    vote = Cell(len(DEFAULT.network.layers), 0)
    assert say_cell(nothing, vote).value == signed(float(nothing.outputs[-1][0])), "scores always come along"
    assert goes_on(nothing, Cell(1, 2, 5, 5)) == ""

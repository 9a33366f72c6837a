"""What the window wants of the engine: all of a small network, of a large one what is in view or looked into."""

from __future__ import annotations

from engine.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from engine.network import Network
from engine.presets import DEFAULT
from xo_gui.sight import wanted

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

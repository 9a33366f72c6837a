"""The bars of a column of values: their lengths, sides and positions, pixel by pixel."""

from __future__ import annotations

import numpy as np
from PySide6.QtGui import QColor

from xo_gui.app import DARK
from xo_gui.widgets import bars_image


def lit(shares: list[float]) -> np.ndarray:
    """The pixels that are not background, (height, width) bool: 0 is at x = 10 of 21, bars 2 high and 5 apart."""
    tops = 1 + 5 * np.arange(len(shares))
    picture = bars_image(np.array(shares), (21, 5 * len(shares)), 10, 10, tops, 2, DARK)
    background = QColor(DARK.background).rgb()
    return np.array(
        [[picture.pixel(x, y) != background for x in range(picture.width())] for y in range(picture.height())]
    )


def test_a_bar_is_as_long_as_its_value_and_on_its_side_of_zero() -> None:
    found = lit([1.0, 0.5, -0.3, 0.0])
    assert found[1].tolist() == [False] * 10 + [True] * 10 + [False]
    assert found[6].tolist() == [False] * 10 + [True] * 5 + [False] * 6
    assert found[11].tolist() == [False] * 7 + [True] * 3 + [False] * 11
    assert not found[15:].any()


def test_bars_stand_apart_at_their_rows() -> None:
    assert lit([1.0, 1.0]).any(axis=1).tolist() == [False, True, True, False, False] * 2


def test_long_bars_are_clipped_and_nan_has_no_bar() -> None:
    found = lit([7.0, float("nan"), float("-inf")])
    assert found[1].sum() == 10
    assert not found[5:10].any()
    assert found[11].tolist() == [True] * 10 + [False] * 11


def test_signs_differ_in_colour_and_a_faint_bar_is_visible() -> None:
    picture = bars_image(np.array([0.1, -0.1]), (21, 10), 10, 10, np.array([0, 5]), 2, DARK)
    above, below, ground = picture.pixelColor(10, 0), picture.pixelColor(9, 5), QColor(DARK.background)
    assert above != below
    for colour in (above, below):
        assert abs(colour.lightness() - ground.lightness()) > 20

"""Class symbols: twenty classes can be told apart by colour, by shape, and without some of the cones of the eye."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from PySide6.QtCore import QPointF
from PySide6.QtGui import QImage, QPainter

from engine.backends import HostArray
from xo_gui.app import DARK, Theme
from xo_gui.app.theme import LIGHT
from xo_gui.widgets import SYMBOL_COUNT, class_name_width, elided_class_name, paint_class_symbol

CLASSES = 20
# Linear RGB as it is seen without red or green cones (Machado, Oliveira and Fernandes 2009).
VISION = {
    "all cones": np.eye(3),
    "no red": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "no green": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
}
# Linear RGB to cone responses, and their cube roots to OKLab (Ottosson 2020).
TO_CONES = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
TO_LAB = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])


def linear(colour: str) -> HostArray:
    share = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear(colour) @ np.array([0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_twenty_colours_differ_for_every_eye_and_can_be_read(theme: Theme) -> None:
    colours = [theme.class_colour(index) for index in range(CLASSES)]
    assert colours[:2] == [theme.x, theme.o]
    for colour in colours:
        light, dark = sorted((luminance(colour), luminance(theme.background)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5
    for name, vision in VISION.items():
        seen = [TO_LAB @ np.cbrt(TO_CONES @ np.clip(vision @ linear(colour), 0, 1)) for colour in colours]
        least = min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2))
        assert least > 0.045, name


def test_twenty_symbols_differ_in_shape_alone(qapp: object) -> None:
    assert SYMBOL_COUNT == CLASSES
    shapes = []
    for index, name in [(0, "X"), (1, "O"), *((index, "cat") for index in range(CLASSES))]:
        image = QImage(22, 22, QImage.Format.Format_Grayscale8)
        image.fill(0)
        painter = QPainter(image)
        paint_class_symbol(painter, DARK, index, name, QPointF(11, 11), 11)
        painter.end()
        grey = np.frombuffer(image.constBits(), np.uint8).reshape(22, -1)[:, :22]
        assert not grey[[0, 1, 2, -3, -2, -1]].any(), "it stays within its side"
        shapes.append(grey > grey.max() / 2)
    least = min(int((one != other).sum()) for one, other in combinations(shapes, 2))
    assert least >= 12, "pixels of 121"


def test_a_long_name_is_elided_and_a_short_one_is_not(qapp: object) -> None:
    assert elided_class_name("cross", 60) == "cross"
    assert elided_class_name("a very long name of a class", 60).endswith("\u2026")
    assert elided_class_name("cross", 10) == "", "three letters of a name say nothing"
    assert elided_class_name("X", 60) == "", "its symbol is its name"
    assert class_name_width("a very long name of a class", 60) == 60

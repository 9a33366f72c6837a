"""The pictures of empty panels: each is seen below its sentence, and gives way where there is no room."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from PySide6.QtWidgets import QWidget

from xo_gui.app import theme_service
from xo_gui.app.theme import DARK, LIGHT
from xo_gui.widgets import EmptyLabel, EmptyPicture


def ink(widget: QWidget) -> np.ndarray:
    """Whether each row of the widget has anything but its background."""
    image = widget.grab().toImage().convertToFormat(widget.grab().toImage().Format.Format_RGB32)
    pixels = np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), -1)[:, : image.width()]
    return (pixels != pixels[-1, -1]).any(axis=1)


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("picture", get_args(EmptyPicture))
def test_each_panel_has_a_picture_below_its_sentence(qtbot, picture, theme) -> None:
    theme_service.set_theme(theme)
    label = EmptyLabel("Train, and it is drawn here.", picture, None)
    qtbot.addWidget(label)
    label.resize(260, 140)
    rows = ink(label)
    assert rows[:20].any()
    assert rows[30:].sum() > 40
    label.set_picture(None)
    assert not ink(label)[30:].any()


def test_the_picture_gives_way_to_the_sentence_where_there_is_no_room(qtbot) -> None:
    label = EmptyLabel("Train, and it is drawn here.", "curve", None)
    qtbot.addWidget(label)
    label.resize(260, 40)
    assert not ink(label)[22:].any()

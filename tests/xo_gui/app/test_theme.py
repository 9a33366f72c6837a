"""The theme service: what a theme changes while the window is open."""

from __future__ import annotations

import numpy as np
from PySide6.QtGui import QColor, QImage

from engine.backends import HostArray
from tests.xo_gui.conftest import SIZE, X_ARMS, Hand
from xo_gui.app import DARK, Theme, current_theme, theme_service
from xo_gui.app.theme import LIGHT


def backgrounds(image: QImage, theme: Theme) -> int:
    """How many pixels have the theme's background colour."""
    words: HostArray = np.array(image.convertToFormat(QImage.Format.Format_RGB32).constBits()).view(np.uint32)
    return int((words == QColor(theme.background).rgb()).sum())


def test_a_theme_chosen_in_the_open_window_reaches_every_panel(open_window, qtbot) -> None:
    window = open_window(*SIZE)
    hand = Hand(window, qtbot)
    hand.draw(X_ARMS)
    for view in window.views:
        view.grab()  # so that what a panel keeps for painting is kept
    window.set_theme("light")
    for view in window.views:
        image = view.grab().toImage()
        assert not backgrounds(image, DARK), type(view).__name__
        assert backgrounds(image, LIGHT), type(view).__name__
    assert window.drawing_view.to_image().pixelColor(1, 1).name() == LIGHT.canvas


def test_the_same_theme_again_changes_nothing(qapp, qtbot) -> None:
    theme_service.set_theme(LIGHT)
    with qtbot.assertNotEmitted(theme_service.changed):
        theme_service.set_theme(LIGHT)
    with qtbot.waitSignal(theme_service.changed):
        theme_service.set_theme(DARK)
    assert current_theme() is DARK

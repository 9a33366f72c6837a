"""Action maker: what a menu is given to make its actions with, so that all are alike. It makes none itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu

# Its menu, text, status tip, slot and key.
ActionMaker: TypeAlias = Callable[[QMenu, str, str, Callable[..., object], str | None], QAction]

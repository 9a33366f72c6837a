"""The panels of the window, one package each; `View` is what they share."""

from xo_gui.views.view import View

__all__ = [
    "View",
]

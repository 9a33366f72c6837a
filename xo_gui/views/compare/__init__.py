"""The panel that compares two models."""

from xo_gui.views.compare.compare_view import CompareView

__all__ = [
    "CompareView",
]

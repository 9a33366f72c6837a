"""The panel with the canvas."""

from xo_gui.views.drawing.drawing_view import DrawingView

__all__ = [
    "DrawingView",
]

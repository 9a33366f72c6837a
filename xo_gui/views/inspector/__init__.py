"""The panel that spells out a selected value."""

from xo_gui.views.inspector.inspector_view import InspectorView

__all__ = [
    "InspectorView",
]

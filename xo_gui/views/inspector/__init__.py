"""The panel that spells out a selected value."""

from xo_gui.views.inspector.inspector_view import InspectorView
from xo_gui.views.inspector.stage_view import StageView

__all__ = [
    "InspectorView",
    "StageView",
]

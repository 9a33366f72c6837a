"""The views: one file a panel. PANELS is the list of what the window shows and where it starts."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt

from xo_gui.views.drawing_view import DrawingView
from xo_gui.views.network_view import NetworkView
from xo_gui.views.view import View
from xo_gui.views.votes_view import VotesView


@dataclass(frozen=True)
class Panel:
    """A view and the side of the window it starts on; None is the middle."""

    view: type[View]
    area: Qt.DockWidgetArea | None


PANELS = (
    Panel(DrawingView, Qt.DockWidgetArea.LeftDockWidgetArea),
    Panel(VotesView, Qt.DockWidgetArea.LeftDockWidgetArea),
    Panel(NetworkView, None),
)

__all__ = ["PANELS", "DrawingView", "NetworkView", "Panel", "View", "VotesView"]

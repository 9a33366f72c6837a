"""PANELS: the views that the window shows, and where each is placed at first."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt

from xo_gui.views import View
from xo_gui.views.compare import CompareView
from xo_gui.views.data import DataView
from xo_gui.views.drawing import DrawingView
from xo_gui.views.inspector import InspectorView
from xo_gui.views.network import NetworkView
from xo_gui.views.step import StepView
from xo_gui.views.training import (
    BranchesView,
    CurvesView,
    FeatureHistoryView,
    HeldOutView,
    LayerStatisticsView,
    RobustnessView,
    SettingsView,
    TimelineView,
    TrainingView,
)
from xo_gui.views.votes import TemplateView, VotesView


@dataclass(frozen=True)
class Panel:
    """A view and its first place.

    area: the dock area; None for a tab of the central widget.
    below: placed below the panels that are side by side in that area.
    tabbed_with: the view whose dock it shares as a tab.
    """

    view: type[View]
    area: Qt.DockWidgetArea | None
    below: bool = False
    tabbed_with: type[View] | None = None


PANELS = (
    Panel(DrawingView, Qt.DockWidgetArea.LeftDockWidgetArea),
    Panel(VotesView, Qt.DockWidgetArea.LeftDockWidgetArea),
    Panel(TemplateView, Qt.DockWidgetArea.LeftDockWidgetArea, tabbed_with=VotesView),
    Panel(NetworkView, None),
    Panel(CompareView, None),
    Panel(StepView, None),
    Panel(InspectorView, Qt.DockWidgetArea.RightDockWidgetArea),
    Panel(TrainingView, Qt.DockWidgetArea.BottomDockWidgetArea),
    Panel(CurvesView, Qt.DockWidgetArea.BottomDockWidgetArea),
    Panel(FeatureHistoryView, Qt.DockWidgetArea.BottomDockWidgetArea),
    Panel(TimelineView, Qt.DockWidgetArea.BottomDockWidgetArea, below=True),
    # Tabs come last: Qt would add a panel placed beside a tab as another tab.
    Panel(SettingsView, Qt.DockWidgetArea.BottomDockWidgetArea, tabbed_with=TrainingView),
    Panel(HeldOutView, Qt.DockWidgetArea.BottomDockWidgetArea, tabbed_with=FeatureHistoryView),
    Panel(RobustnessView, Qt.DockWidgetArea.BottomDockWidgetArea, tabbed_with=FeatureHistoryView),
    Panel(BranchesView, Qt.DockWidgetArea.BottomDockWidgetArea, tabbed_with=CurvesView),
    Panel(LayerStatisticsView, Qt.DockWidgetArea.BottomDockWidgetArea, tabbed_with=FeatureHistoryView),
    Panel(DataView, Qt.DockWidgetArea.BottomDockWidgetArea, tabbed_with=FeatureHistoryView),
)

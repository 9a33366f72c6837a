"""PANELS: the views that the window shows, and where each is placed at first."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt

from xo_gui.views.compare.compare_view import CompareView
from xo_gui.views.data.data_view import DataView
from xo_gui.views.drawing.drawing_view import DrawingView
from xo_gui.views.inspector.inspector_view import InspectorView
from xo_gui.views.network.network_view import NetworkView
from xo_gui.views.step.step_view import StepView
from xo_gui.views.training.branches_view import BranchesView
from xo_gui.views.training.curves_view import CurvesView
from xo_gui.views.training.feature_history_view import FeatureHistoryView
from xo_gui.views.training.held_out_view import HeldOutView
from xo_gui.views.training.layer_statistics_view import LayerStatisticsView
from xo_gui.views.training.robustness_view import RobustnessView
from xo_gui.views.training.settings_view import SettingsView
from xo_gui.views.training.timeline_view import TimelineView
from xo_gui.views.training.training_view import TrainingView
from xo_gui.views.view import View
from xo_gui.views.votes.template_view import TemplateView
from xo_gui.views.votes.votes_view import VotesView


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

"""PANELS: the views that the window shows, and where each is placed at first; INPUT_VIEWS: those of the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import Qt

from xo_gui.views import View
from xo_gui.views.compare import CompareView
from xo_gui.views.data import DataView, InputView
from xo_gui.views.drawing import DrawingView
from xo_gui.views.inspector import InspectorView, StageView
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

    name: what the panel is called in a saved layout, whatever its title and class are called.
    area: the dock area; None for a tab of the central widget.
    below: placed below the panels that are side by side in that area.
    scrolls: whether it scrolls although it is not beside others, because a network may need any height there.
    tabbed_with: the view whose dock it shares as a tab.
    """

    name: str
    view: type[View]
    area: Qt.DockWidgetArea | None
    below: bool = False
    scrolls: bool = False
    tabbed_with: type[View] | None = None


_LEFT: Final = Qt.DockWidgetArea.LeftDockWidgetArea
_RIGHT: Final = Qt.DockWidgetArea.RightDockWidgetArea
_BOTTOM: Final = Qt.DockWidgetArea.BottomDockWidgetArea

# The views that show and edit the input, by what a kind of data calls them (`DataKind.input_view`). One at a time
# is shown, in the place of the first.
INPUT_VIEWS: dict[str, type[InputView]] = {view.name: view for view in (DrawingView,)}

PANELS = (
    Panel("drawing", DrawingView, _LEFT),
    Panel("votes", VotesView, _LEFT, scrolls=True),
    Panel("template", TemplateView, _LEFT, tabbed_with=VotesView),
    Panel("network", NetworkView, None),
    Panel("compare", CompareView, None),
    Panel("step", StepView, None),
    Panel("stage", StageView, None),
    Panel("inspector", InspectorView, _RIGHT),
    Panel("training", TrainingView, _BOTTOM),
    Panel("curves", CurvesView, _BOTTOM),
    Panel("feature-history", FeatureHistoryView, _BOTTOM),
    Panel("timeline", TimelineView, _BOTTOM, below=True),
    # Tabs come last: Qt would add a panel placed beside a tab as another tab.
    Panel("training-settings", SettingsView, _BOTTOM, tabbed_with=TrainingView),
    Panel("held-out", HeldOutView, _BOTTOM, tabbed_with=FeatureHistoryView),
    Panel("robustness", RobustnessView, _BOTTOM, tabbed_with=FeatureHistoryView),
    Panel("branches", BranchesView, _BOTTOM, tabbed_with=CurvesView),
    Panel(
        "layer-statistics",
        LayerStatisticsView,
        _BOTTOM,
        tabbed_with=FeatureHistoryView,
    ),
    Panel("data", DataView, _BOTTOM, tabbed_with=FeatureHistoryView),
)

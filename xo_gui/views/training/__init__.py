"""The panels of training: curves, timeline, settings, statistics, held-out drawings, robustness."""

from xo_gui.views.training.branches_view import BranchesView
from xo_gui.views.training.curves_view import CurvesView
from xo_gui.views.training.feature_history_view import FeatureHistoryView
from xo_gui.views.training.held_out_view import HeldOutView
from xo_gui.views.training.layer_statistics_view import LayerStatisticsView
from xo_gui.views.training.robustness_view import RobustnessView
from xo_gui.views.training.settings_view import SettingsView
from xo_gui.views.training.timeline_view import TimelineView
from xo_gui.views.training.training_view import TrainingView

__all__ = [
    "BranchesView",
    "CurvesView",
    "FeatureHistoryView",
    "HeldOutView",
    "LayerStatisticsView",
    "RobustnessView",
    "SettingsView",
    "TimelineView",
    "TrainingView",
]

"""Learning as the article describes it: each value a little up, a little down, and the better one kept."""

from engine.nudging.central_differences import (
    CentralDifferences,
    Kink,
    KinkFinder,
    backprop_gradients,
    central_difference_gradients,
)
from engine.nudging.comparison import RuleCurve, compare_rules
from engine.nudging.nudger import Nudge, Nudger, NudgeState, NudgingConfig
from engine.nudging.probe import LossProbe, backward_multiplies, forward_multiplies

__all__ = [
    "CentralDifferences",
    "Kink",
    "KinkFinder",
    "LossProbe",
    "Nudge",
    "NudgeState",
    "Nudger",
    "NudgingConfig",
    "RuleCurve",
    "backprop_gradients",
    "backward_multiplies",
    "central_difference_gradients",
    "compare_rules",
    "forward_multiplies",
]

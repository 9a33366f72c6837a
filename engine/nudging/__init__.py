"""Learning by nudging, as the article describes it: every value a little up, a little down. Central differences,
and a comparison of both with backpropagation."""

from engine.nudging.central_differences import (
    CentralDifferences,
    Kink,
    backprop_gradients,
    central_difference_gradients,
)
from engine.nudging.comparison import RuleCurve, compare_rules
from engine.nudging.nudger import Nudge, Nudger, NudgeState, NudgingConfig
from engine.nudging.probe import LossProbe, backward_multiplies, forward_multiplies

__all__ = [
    "CentralDifferences",
    "Kink",
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

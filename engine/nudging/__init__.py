"""Learning by nudging, as the article describes it: every value a little up, a little down. Central differences,
and a comparison of both with backpropagation."""

from engine.nudging.central_differences import CentralDifferences, Kink, backpropagated, central_differences
from engine.nudging.comparison import Curve, compare
from engine.nudging.nudger import Nudge, Nudger, NudgeState, Nudging
from engine.nudging.probe import Probe, backward_multiplies, forward_multiplies

__all__ = [
    "CentralDifferences",
    "Curve",
    "Kink",
    "Nudge",
    "NudgeState",
    "Nudger",
    "Nudging",
    "Probe",
    "backpropagated",
    "backward_multiplies",
    "central_differences",
    "compare",
    "forward_multiplies",
]

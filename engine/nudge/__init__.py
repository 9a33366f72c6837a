"""Learning as the article tells it: every value a little up, a little down. Beside it the central difference, and
how both compare with backpropagation, which is in training.py."""

from engine.nudge.central_differences import CentralDifferences, backpropagated, central_differences
from engine.nudge.comparison import Curve, compare
from engine.nudge.kinks import Kink
from engine.nudge.nudger import Nudge, Nudger, NudgeState, Nudging
from engine.nudge.probe import Probe
from engine.nudge.spending import backward_multiplies, forward_multiplies

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

"""The panel that shows one training step in detail."""

from xo_gui.views.step.step_view import StepView

__all__ = [
    "StepView",
]

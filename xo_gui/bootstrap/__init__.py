"""First run from a checkout: makes the environment and installs what is missing. Standard library only."""

from xo_gui.bootstrap.environment import ensure_environment
from xo_gui.bootstrap.system_libraries import OFFSCREEN_PLATFORMS, ensure_system_libraries

__all__ = [
    "OFFSCREEN_PLATFORMS",
    "ensure_environment",
    "ensure_system_libraries",
]

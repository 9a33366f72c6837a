"""The application itself: process, preferences, theme."""

from xo_gui.app.preferences import Preferences, SavedLayout
from xo_gui.app.process import (
    GarbageCollector,
    SignalHandler,
    call_all,
    install_exception_hook,
)
from xo_gui.app.theme import (
    DARK,
    LARGE_PX,
    SMALL_PX,
    TEXT_PX,
    TITLE_PX,
    Theme,
    apply_theme,
    colours,
    font,
    heading_font,
    load_fonts,
    resolve_theme,
    to_qimage,
)

__all__ = [
    "DARK",
    "LARGE_PX",
    "SMALL_PX",
    "TEXT_PX",
    "TITLE_PX",
    "GarbageCollector",
    "Preferences",
    "SavedLayout",
    "SignalHandler",
    "Theme",
    "apply_theme",
    "call_all",
    "colours",
    "font",
    "heading_font",
    "install_exception_hook",
    "load_fonts",
    "resolve_theme",
    "to_qimage",
]

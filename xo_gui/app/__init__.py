"""The application itself: process, preferences, theme."""

from xo_gui.app.overrides import guard_overrides
from xo_gui.app.preferences import Preferences, SavedLayout
from xo_gui.app.process import (
    GarbageCollector,
    SignalHandler,
    call_all,
    install_exception_hook,
)
from xo_gui.app.texts import QT_TR_NOOP, QT_TRANSLATE_NOOP, engine_text, marked_text, translate
from xo_gui.app.theme import (
    DARK,
    LARGE_PX,
    SMALL_PX,
    TABS_HEIGHT,
    TEXT_PX,
    TITLE_PX,
    Theme,
    colours,
    current_theme,
    font,
    heading_font,
    load_fonts,
    resolve_theme,
    theme_service,
    to_qimage,
)

__all__ = [
    "DARK",
    "LARGE_PX",
    "QT_TRANSLATE_NOOP",
    "QT_TR_NOOP",
    "SMALL_PX",
    "TABS_HEIGHT",
    "TEXT_PX",
    "TITLE_PX",
    "GarbageCollector",
    "Preferences",
    "SavedLayout",
    "SignalHandler",
    "Theme",
    "call_all",
    "colours",
    "current_theme",
    "engine_text",
    "font",
    "guard_overrides",
    "heading_font",
    "install_exception_hook",
    "load_fonts",
    "marked_text",
    "resolve_theme",
    "theme_service",
    "to_qimage",
    "translate",
]

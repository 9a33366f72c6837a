"""The main window: panels, menus, docks, import and export."""

from xo_gui.window.import_export import png_bytes, write_file
from xo_gui.window.main_window import MainWindow
from xo_gui.window.recording import WindowRecorder

__all__ = [
    "MainWindow",
    "WindowRecorder",
    "png_bytes",
    "write_file",
]

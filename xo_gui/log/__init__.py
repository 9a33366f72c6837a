"""Log files, free of Qt: a fault while Qt is imported is logged, too."""

from xo_gui.log.log_files import log_folder, open_log

__all__ = [
    "log_folder",
    "open_log",
]

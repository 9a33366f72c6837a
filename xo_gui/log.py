"""Log: where faults are written, so that none is silent and none ends the program without a trace."""

from __future__ import annotations

import faulthandler
import logging
import sys
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import IO

from platformdirs import user_log_path

_crash_file: IO[str] | None = None


def log_folder() -> Path:
    """The folder of the log files."""
    return user_log_path("xo-gui", appauthor=False)


def open_log() -> str | None:
    """Write warnings and faults to files from now on; returns a sentence if the last run ended in a crash.

    If the folder cannot be written, the log goes to the terminal alone, and that is said there.
    """
    global _crash_file
    folder = log_folder()
    root = logging.getLogger()
    root.addHandler(logging.StreamHandler())
    root.setLevel(logging.WARNING)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = RotatingFileHandler(folder / "xo-gui.log", maxBytes=1_000_000, backupCount=3, encoding="utf-8")
        crash = folder / "crash.txt"
        crashed = crash.exists() and crash.stat().st_size > 0
        if crashed:
            crash.replace(folder / "last-crash.txt")
        _crash_file = crash.open("w", encoding="utf-8")
    except OSError as error:
        root.warning("no log can be written in %s: %s", folder, error)
        return None
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(file)
    faulthandler.enable(_crash_file)
    return f"The last run ended in a crash; its trace is in {folder / 'last-crash.txt'}." if crashed else None


def report_faults(tell: Callable[[str], object]) -> None:
    """Log every exception nobody caught, `tell` of it in a sentence, and live on; earlier hooks still run."""
    earlier = sys.excepthook

    def hook(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
        logging.getLogger("xo_gui").error("a fault nobody caught", exc_info=(kind, fault, trace))
        tell(f"Something went wrong ({kind.__name__}: {fault}). The program goes on; the log has the details.")
        if earlier is not sys.__excepthook__:
            earlier(kind, fault, trace)

    sys.excepthook = hook

"""The log files of the window: warnings and errors, details of the GPU, and the trace of a crash."""

from __future__ import annotations

import faulthandler
import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

from platformdirs import user_log_path

_crash_file: IO[str] | None = None


def log_folder() -> Path:
    return user_log_path("xo-gui", appauthor=False)


class OneLineFormatter(logging.Formatter):
    """The message and the exception's own, without the trace, which is in the log file."""

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage() if error is None else f"{record.getMessage()}: {type(error).__name__}: {error}"
        return " ".join(text.split())


def open_log() -> str | None:
    """Log warnings and errors to files from now on; returns a sentence if the last run ended in a crash.

    If the folder cannot be written to, the log goes to the terminal only, with a warning.
    """
    global _crash_file
    folder = log_folder()
    root = logging.getLogger()
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    root.addHandler(terminal)
    root.setLevel(logging.WARNING)
    # Why a GPU is not used is said in one sentence; the log file has the details.
    logging.getLogger("engine.backends").setLevel(logging.INFO)
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
    terminal.setFormatter(OneLineFormatter())
    faulthandler.enable(_crash_file)
    return f"The last run ended in a crash; its trace is in {folder / 'last-crash.txt'}." if crashed else None

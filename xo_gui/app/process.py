"""Log: where faults are written, so that none is silent and none ends the program without a trace."""

from __future__ import annotations

import faulthandler
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import IO

from platformdirs import user_log_path
from PySide6.QtCore import QObject, QSocketNotifier, QTimer
from PySide6.QtWidgets import QWidget

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


EVERY_MS = 2_000
FULL_EVERY = 15


class Garbage(QObject):
    """Takes collection over from Python while it lives; what exists by then is never looked at again."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.collect()
        gc.freeze()
        gc.disable()
        self._turns = 0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._collect)
        self._timer.start(EVERY_MS)

    def _collect(self) -> None:
        """The young generations each time, all of them now and then."""
        self._turns += 1
        gc.collect(2 if self._turns % FULL_EVERY == 0 else 1)


SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt(QObject):
    """Listens while its window lives; to be made in the main thread.

    Python hears a signal only between two of its own calls, and Qt's loop may make none for seconds: so what wakes
    it up is a byte that Python writes as the signal comes.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._heard, self._told = socket.socketpair()
        for end in (self._heard, self._told):
            end.setblocking(False)
        signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        self._notifier = QSocketNotifier(self._heard.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._close)

    def _close(self) -> None:
        self._heard.recv(64)
        self._window.close()

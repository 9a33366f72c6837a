"""Interrupt: Ctrl+C in the terminal closes the window as its own button does. It decides nothing else."""

from __future__ import annotations

import signal
import socket

from PySide6.QtCore import QObject, QSocketNotifier
from PySide6.QtWidgets import QWidget

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

"""Garbage: runs Python's collector from the window's own thread, and only there.

WORKAROUND PYSIDE-743: a collection that happens to start in another thread may destroy widgets there and crash.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

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

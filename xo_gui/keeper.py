"""Keeper: puts the work of the window into a file while it goes on, in a thread of its own. It decides nothing.

Not in the engine's thread: a disk that is slow would hold up training and, with it, every stroke. Packing and
writing go piece by piece and let go of the interpreter's lock, so neither window nor engine waits.
"""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Event, Thread
from typing import TypeAlias

from PySide6.QtCore import QObject, Signal

from engine.documents.project_file import Work, save_session
from engine.formats.atomic_file import StorageError
from xo_gui.mailbox import Mailbox

log = logging.getLogger(__name__)

# From one place to another.
Move: TypeAlias = "tuple[Path, Path]"
# Seconds from the beginning of one writing to that of the next.
EVERY = 10.0


class Keeper(QObject):
    """Writes the latest work that was given to it, at once, but then not for some seconds. `troubled` carries
    nothing; `trouble` is a sentence once a file could not be written, until one can."""

    troubled = Signal()

    def __init__(self, path: Path, every: float = EVERY, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.trouble = ""
        self._path, self._every = path, every
        self._works: Mailbox[tuple[Work, Move | None]] = Mailbox()
        self._closing = Event()
        self._thread = Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def keep(self, work: Work, then: Move | None = None) -> None:
        """Write this next, and then move another file, whose contents this has taken over."""
        self._works.put((work, then))

    def finish(self, work: Work | None, then: Move | None = None) -> bool:
        """Write this last, or what is not written yet, and wait for it; whether it is written."""
        if work is not None:
            self.keep(work, then)
        self._closing.set()
        self._works.close()
        self._thread.join()
        return not self.trouble

    def _run(self) -> None:
        while (given := self._works.wait()) is not None:
            self._write(*given)
            self._closing.wait(self._every)
        last = self._works.take()
        if last is not None:
            self._write(*last)

    def _write(self, work: Work, then: Move | None) -> None:
        try:
            save_session(self._path, work)
            if then is not None and then[0].exists():
                then[0].replace(then[1])
        except Exception as error:
            said = str(error)
            if not isinstance(error, StorageError):
                log.exception("the work could not be put aside")
                said = f"Your work could not be put aside, {type(error).__name__}: {error}. The log has more."
            if self.trouble != said:
                self.trouble = said
                self.troubled.emit()
            return
        self.trouble = ""

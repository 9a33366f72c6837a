"""Recovery: what is put aside of the window's work, and what an earlier window left behind. Not how it is written.

A folder holds numbered places, each with a lock that its window keeps while it lives: a file in a place that nobody
has locked was left by a window that did not close. A window that closes moves its file to `last.session`.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import TypeAlias

from platformdirs import user_state_path
from PySide6.QtCore import QObject, Signal

from engine.documents.open_file import Opened
from engine.documents.project_file import SUFFIX, Digest, Work, save_session, session_digest
from engine.formats.atomic_file import StorageError
from engine.training.history import KeptRun
from xo_gui.state.mailbox import Mailbox
from xo_gui.state.session import Session
from xo_gui.state.training_controller import TrainingControl

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


class Claim:
    """Held until it is released, or the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def of(cls, path: Path) -> Claim | None:
        """The claim to `path`, None if somebody else has it. Raises OSError if it cannot be made."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def release(self) -> None:
        """Let others have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int) -> None:
    """Raises OSError if it is locked already."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


MOST_PLACES = 100


def session_folder() -> Path:
    """Where the work of windows is put aside."""
    return user_state_path("xo-gui", appauthor=False) / "sessions"


class Recovery(QObject):
    """Owner of the window's place and of what is offered back. offered: the offer is another; said: a sentence."""

    offered = Signal()
    said = Signal(str)

    def __init__(
        self,
        session: Session,
        control: TrainingControl,
        folder: Path,
        every: float = EVERY,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._control, self._folder = session, control, folder
        self._every = every
        self._claims: dict[Path, Claim] = {}
        self._keeper: Keeper | None = None
        self._own: Path | None = None
        self._left: list[tuple[Path, Digest]] = []
        self._known: tuple[object, ...] = ()
        self._restored: Path | None = None
        self._first = session.settled

    @property
    def offer(self) -> Digest | None:
        """What was left behind and is offered back."""
        return self._left[-1][1] if self._left else None

    @property
    def last(self) -> Path | None:
        """The work of the window that was closed last."""
        return self._place_of_last if self._place_of_last.exists() else None

    @property
    def _place_of_last(self) -> Path:
        return self._folder / f"last{SUFFIX}"

    @property
    def _taken_over(self) -> Move | None:
        """What was restored, which is in the window's own file once that is written."""
        return None if self._restored is None else (self._restored, self._place_of_last)

    # -- the folder --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take a place, and look for what was left in others. What goes wrong is said, and no reason to stop."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._take_place()
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            self.said.emit(self.tr("Your work is not kept aside in {0}: {1}.").format(self._folder, why))
            return
        if self._own is not None:
            self._keeper = Keeper(self._own, self._every, self)
            self._keeper.troubled.connect(self._troubled)
        self._left.sort(key=lambda left: left[1].saved)
        self.offered.emit()

    def _take_place(self) -> None:
        """The first place that is free; files in places that nobody has are to be offered. Raises OSError."""
        for number in range(1, MOST_PLACES + 1):
            path = self._folder / f"{number}{SUFFIX}"
            if self._own is not None and not path.exists():
                continue
            if (claim := Claim.of(path.with_suffix(".lock"))) is None:
                continue
            self._claims[path] = claim
            if path.exists():
                self._look_at(path)
            elif self._own is None:
                self._own = path

    def _look_at(self, path: Path) -> None:
        try:
            self._left.append((path, session_digest(path)))
        except StorageError as error:
            self._put_away(path, str(error))

    def _put_away(self, path: Path, trouble: str) -> None:
        """A damaged file stops nothing: it is moved aside."""
        aside = path.with_name("damaged" + SUFFIX)
        try:
            path.replace(aside)
        except OSError as error:
            log.warning("%s cannot be moved aside: %s", path, error)
            return
        said = self.tr("What was left of an earlier session is damaged, and lies in {0} now: {1}")
        self.said.emit(said.format(aside, trouble))

    # -- putting aside -----------------------------------------------------------------------------------------

    def note(self) -> None:
        """Put aside what there is now, unless nothing is new since it was done last."""
        control, intent = self._control, self._control.intent
        known = (self._session.settled, control.goal, control.kept, intent.recipe, intent.data)
        if self._keeper is None or tuple(map(id, known)) == tuple(map(id, self._known)):
            return
        self._known = known
        if self._worth_keeping:
            self._keeper.keep(replace(control.work(), saved=time.time()), self._taken_over)

    @property
    def _worth_keeping(self) -> bool:
        return self._session.settled is not self._first or self._control.goal is not None

    def finish(self, run: KeptRun | None) -> None:
        """The window closes; run: what training has come to in the very end."""
        keeper, own, self._keeper = self._keeper, self._own, None
        if keeper is None or own is None:
            return
        worth = self._worth_keeping
        last = replace(self._control.work(run), saved=time.time(), closed=True) if worth else None
        try:
            if keeper.finish(last, self._taken_over) and own.exists():
                own.replace(self._place_of_last)
        except OSError as error:
            log.warning("the session is not kept as the last one: %s", error)
        for claim in self._claims.values():
            claim.release()
        self._claims.clear()

    def _troubled(self) -> None:
        if self._keeper is not None and self._keeper.trouble:
            self.said.emit(self._keeper.trouble)

    # -- giving back -------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Give back what is offered; a file is read by the engine, so that the window never waits for a disk."""
        if self._left:
            self._session.open(self._left[-1][0])

    def discard(self) -> None:
        """What is offered becomes the last session, which File still opens."""
        if not self._left:
            return
        path, _ = self._left.pop()
        try:
            path.replace(self._place_of_last)
        except OSError as error:
            log.warning("%s cannot be put away: %s", path, error)
        self._let_go(path)
        self.offered.emit()

    def take(self, opened: Opened) -> bool:
        """Whether this was read for the recovery; what came of it is then dealt with."""
        path, found = opened.opening.path, opened.found
        ours = [left for left in self._left if left[0] == path]
        if isinstance(found, Work):
            if ours:
                self._restored = path
            self._control.restore(found)
            self.said.emit(self.tr("The session is restored; Undo takes it back."))
        elif ours:
            self._put_away(path, opened.trouble)
        if ours:
            self._left.remove(ours[0])
            self.offered.emit()
            if not isinstance(found, Work):
                self._let_go(path)
        return bool(ours) or isinstance(found, Work)

    def _let_go(self, path: Path) -> None:
        if claim := self._claims.pop(path, None):
            claim.release()

"""Autosave: saves the window's project in the background, and offers to restore what crashed windows left.

The folder holds numbered files, each with a lock file that its window keeps locked while it is open: a project file
whose lock is free was left by a window that did not close. A window that closes moves its file to `last.session`.
A window that restores a session puts its own work aside before, in the file it has, as another session to restore.
Once its file includes the restored session, that one's file is moved to `restored.session`; Undo brings it back.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock, Thread

from platformdirs import user_state_path
from PySide6.QtCore import QLockFile, QObject, Signal

from engine.documents import (
    SUFFIX,
    Document,
    OpenResult,
    ProjectState,
    ProjectSummary,
    read_project_summary,
    save_project,
)
from engine.formats import FileError, remove_leftovers
from engine.training import SavedRun
from xo_gui.state.mailbox import Mailbox
from xo_gui.state.session import Session
from xo_gui.state.statement import Statement
from xo_gui.state.training_controller import TrainingController

log = logging.getLogger(__name__)

# Least seconds between the starts of two saves.
SAVE_INTERVAL = 10.0
# Windows that can be open at once and autosave.
MAX_SESSIONS = 100


def session_folder() -> Path:
    """The folder of the autosaved sessions of all windows."""
    return user_state_path("xo-gui", appauthor=False) / "sessions"


@dataclass(frozen=True)
class SessionOffer:
    """A session that can be restored, and its file. is_put_aside: by this window, when it restored another."""

    path: Path
    summary: ProjectSummary
    is_put_aside: bool = False


class FileMove:
    """A file to be moved by the thread that saves; the move can be reverted, whether it has been made or not."""

    def __init__(self, source: Path, target: Path) -> None:
        self._source, self._target = source, target
        self._lock, self._is_made, self._is_reverted = Lock(), False, False

    def make(self) -> None:
        """Move the file, unless it is gone or the move was reverted. Raises OSError."""
        with self._lock:
            if not self._is_reverted and self._source.exists():
                self._source.replace(self._target)
                self._is_made = True

    def revert(self) -> None:
        """Move the file back, or never. Raises OSError."""
        with self._lock:
            self._is_reverted = True
            if self._is_made:
                self._target.replace(self._source)


@dataclass
class _Restoration:
    """An offer that was restored, the documents before and after, and the move of its file; None while undone."""

    offer: SessionOffer
    before: Document
    after: Document
    move: FileMove | None


class Autosave(QObject):
    """Owns the window's autosave file and the sessions offered for recovery.

    offers_changed: the offered sessions changed. message(text): a sentence for the user.
    """

    offers_changed = Signal()
    message = Signal(str)
    stated = Signal(object)

    def __init__(
        self,
        session: Session,
        control: TrainingController,
        folder: Path,
        interval: float = SAVE_INTERVAL,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._controller, self._folder = session, control, folder
        self._interval = interval
        self._locks: dict[Path, QLockFile] = {}
        self._thread: AutosaveThread | None = None
        self._path: Path | None = None
        self._finishing: list[AutosaveThread] = []  # those of work that was put aside
        self._offers: list[SessionOffer] = []
        self._saved_parts: tuple[object, ...] = ()
        self._restored: _Restoration | None = None
        self._first = session.settled
        session.changed.connect(self._follow_undo)

    @property
    def offers(self) -> tuple[SessionOffer, ...]:
        """The sessions that can be restored, the latest first."""
        return tuple(sorted(self._offers, key=lambda offer: -offer.summary.saved_at))

    @property
    def last_session(self) -> Path | None:
        """The project of the window that was closed last."""
        return self._last_path if self._last_path.exists() else None

    @property
    def _last_path(self) -> Path:
        return self._folder / f"last{SUFFIX}"

    @property
    def _move_of_restored(self) -> FileMove | None:
        """Moves the restored file away, once the window's own file includes its contents."""
        return None if self._restored is None else self._restored.move

    def _new_move(self, offer: SessionOffer) -> FileMove:
        return FileMove(offer.path, self._folder / f"restored{SUFFIX}")

    # -- the folder --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Acquire a file, and offer the sessions of crashed windows. Failures are reported and disable autosave."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self._folder)
            self._path = self._acquire_path(collect=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            self.message.emit(self.tr("Autosave is off, {0} cannot be used: {1}.").format(self._folder, reason))
            return
        self._start_thread()
        self.offers_changed.emit()

    def _start_thread(self) -> None:
        if self._path is not None:
            self._thread = AutosaveThread(self._path, self._interval, self)
            self._thread.failed.connect(self._save_failed)

    def _acquire_path(self, collect: bool = False) -> Path | None:
        """Lock the first free file name and return it, None if there is none. Raises OSError.

        collect: lock and offer the project files of crashed windows too.
        """
        acquired: Path | None = None
        for number in range(1, MAX_SESSIONS + 1):
            path = self._folder / f"{number}{SUFFIX}"
            if path in self._locks or (
                not path.exists() if acquired is not None else path.exists() and not collect
            ):
                continue
            if (lock := acquire_lock(path.with_suffix(".lock"))) is None:
                continue
            self._locks[path] = lock
            if path.exists():
                self._add_offer(path)
                continue
            acquired = path
            if not collect:
                break
        return acquired

    def _add_offer(self, path: Path) -> None:
        try:
            self._offers.append(SessionOffer(path, read_project_summary(path)))
        except FileError as error:
            self._move_damaged(path, str(error))

    def _move_damaged(self, path: Path, reason: str) -> None:
        names = ("damaged", *(f"damaged-{number}" for number in range(2, MAX_SESSIONS)))
        aside = next(free for name in names if not (free := path.with_name(name + SUFFIX)).exists())
        try:
            path.replace(aside)
        except OSError as error:
            log.warning("%s cannot be moved aside: %s", path, error)
            return
        message = self.tr("An autosaved session is damaged and was moved to {0}: {1}")
        self.message.emit(message.format(aside, reason))

    # -- saving ------------------------------------------------------------------------------------------------

    def save_if_changed(self) -> None:
        """Save the project in the background if anything changed since the last call."""
        controller, settings = self._controller, self._controller.settings
        parts = (self._session.settled, controller.request, controller.saved_run, settings.config, settings.data)
        if self._thread is None or tuple(map(id, parts)) == tuple(map(id, self._saved_parts)):
            return
        self._saved_parts = parts
        if self._is_worth_saving:
            self._thread.save(replace(controller.project_state(), saved_at=time.time()), self._move_of_restored)

    @property
    def _is_worth_saving(self) -> bool:
        return self._session.settled is not self._first or not self._controller.is_untouched

    def finish(self, run: SavedRun | None) -> None:
        """Save a last time when the window closes, as `last.session`. run: the final state of training."""
        thread, path, self._thread = self._thread, self._path, None
        if thread is None or path is None:
            return
        last = None
        if self._is_worth_saving:
            last = replace(self._controller.project_state(run), saved_at=time.time(), was_closed=True)
        for finishing in self._finishing:
            finishing.join()
        try:
            if thread.finish(last, self._move_of_restored) and path.exists():
                path.replace(self._last_path)
        except OSError as error:
            log.warning("the session is not kept as the last one: %s", error)
        for lock in self._locks.values():
            lock.unlock()
        self._locks.clear()

    def _save_failed(self, text: str) -> None:
        if self._thread is not None:  # the window is not closing
            self.message.emit(text)

    # -- restoring ---------------------------------------------------------------------------------------------

    def restore(self, offer: SessionOffer) -> None:
        """Restore an offered session; the engine reads the file, so that the window never waits for a disk."""
        for finishing in self._finishing:
            finishing.join()  # it may be the session that was put aside just now
        self._session.open(offer.path)

    def discard(self, offer: SessionOffer) -> None:
        """Turn an offered session into the last session, which the File menu still opens."""
        try:
            offer.path.replace(self._last_path)
        except OSError as error:
            log.warning("%s cannot be put away: %s", offer.path, error)
        self._withdraw(offer)
        self._unlock(offer.path)

    def _put_aside(self) -> bool:
        """Offer the window's own work as a session to restore, and go on in another file; whether nothing is
        lost by replacing the work."""
        thread, path = self._thread, self._path
        if thread is None or path is None or not self._is_worth_saving:
            return True
        try:
            free = self._acquire_path()
        except OSError as error:
            log.warning("the work is not put aside: %s", error)
            free = None
        if free is None:
            self.message.emit(
                self.tr("There are too many sessions to put this one aside: restore or discard some.")
            )
            return False
        work = replace(self._controller.project_state(), saved_at=time.time())
        thread.finish_later(work, self._move_of_restored)
        self._finishing.append(thread)
        self._offers.append(SessionOffer(path, work.summary, is_put_aside=True))
        self._path, self._restored = free, None
        self._start_thread()
        return True

    def _withdraw(self, offer: SessionOffer) -> None:
        self._offers = [other for other in self._offers if other.path != offer.path]
        self.offers_changed.emit()

    def accept(self, opened: OpenResult) -> bool:
        """Handle a file that was read, if it is a project or was offered; returns whether it was handled."""
        path, found = opened.request.path, opened.content
        offer = next((offer for offer in self._offers if offer.path == path), None)
        if isinstance(found, ProjectState):
            if offer is not None:
                if not self._put_aside():
                    return True
                before = self._session.settled
                self._restored = _Restoration(offer, before, found.document, self._new_move(offer))
            self._controller.restore(found)
            restored = self._session.settled
            text = self.tr("The session is restored; Undo reverts it.")
            self.stated.emit(Statement(text, lambda: self._session.settled is restored))
            if offer is not None:
                self._withdraw(offer)
        elif offer is not None:
            self._move_damaged(path, opened.error)
            self._withdraw(offer)
            self._unlock(path)
        return offer is not None or isinstance(found, ProjectState)

    def _follow_undo(self) -> None:
        """Offer a restored session again when that is undone, and no longer when it is redone."""
        restored, settled = self._restored, self._session.settled
        if restored is None:
            return
        if restored.move is not None and settled is restored.before:
            try:
                restored.move.revert()
            except OSError as error:
                log.warning("%s does not come back: %s", restored.offer.path, error)
            restored.move = None
            if restored.offer.path.exists():
                self._offers.append(restored.offer)
                self.offers_changed.emit()
        elif restored.move is None and settled is restored.after:
            restored.move = self._new_move(restored.offer)
            self._withdraw(restored.offer)

    def _unlock(self, path: Path) -> None:
        if lock := self._locks.pop(path, None):
            lock.unlock()


class AutosaveThread(QObject):
    """Saves the latest project it was given in a thread of its own, at most once per interval.

    failed(text): a save failed with a new message. error: that message; "" after a successful save.
    """

    failed = Signal(str)

    def __init__(self, path: Path, interval: float = SAVE_INTERVAL, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.error = ""
        self._path, self._interval = path, interval
        self._mailbox: Mailbox[tuple[ProjectState, FileMove | None]] = Mailbox()
        self._closing = Event()
        self._thread = Thread(target=self._run, name="autosave", daemon=True)
        self._thread.start()

    def save(self, work: ProjectState, then: FileMove | None = None) -> None:
        """Save this next, and then move the file that it replaces."""
        self._mailbox.put((work, then))

    def finish(self, work: ProjectState | None, then: FileMove | None = None) -> bool:
        """Save this or what is still pending, and end the thread; returns whether the last save succeeded."""
        self.finish_later(work, then)
        self.join()
        return not self.error

    def finish_later(self, work: ProjectState | None, then: FileMove | None = None) -> None:
        """As `finish`, without waiting for the end."""
        if work is not None:
            self.save(work, then)
        self._closing.set()
        self._mailbox.close()

    def join(self) -> None:
        """Wait for the end of the thread, which finishes."""
        self._thread.join()

    def _run(self) -> None:
        while (item := self._mailbox.wait()) is not None:
            self._write(*item)
            self._closing.wait(self._interval)
        last = self._mailbox.take()
        if last is not None:
            self._write(*last)

    def _write(self, work: ProjectState, then: FileMove | None) -> None:
        try:
            save_project(self._path, work)
            if then is not None:
                then.make()
        except Exception as error:
            message = str(error)
            if not isinstance(error, FileError):
                log.exception("autosave failed")
                message = f"Autosave failed, {type(error).__name__}: {error}. The log has more."
            if self.error != message:
                self.error = message
                self.failed.emit(message)
            return
        self.error = ""


def acquire_lock(path: Path) -> QLockFile | None:
    """Lock a file until it is unlocked or the process ends; None if it is locked already, or is no ordinary file.

    Raises OSError where nothing can be locked.
    """
    if path.exists() and not path.is_file():
        return None  # Qt would read a pipe, and wait for ever
    lock = QLockFile(str(path))
    if lock.tryLock(0):
        return lock
    if lock.error() == QLockFile.LockError.LockFailedError:
        return None
    if lock.error() == QLockFile.LockError.PermissionError:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    raise OSError("its files cannot be locked")

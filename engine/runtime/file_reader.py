"""FileReader: reads files in a thread of its own, so that a large one delays neither predictions nor the end."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from threading import Event, Thread, get_native_id
from typing import Final, TypeAlias

from engine.documents import OpenRequest, OpenResult

# Reads a file; the second argument is called at intervals, and an exception from it stops the reading.
ReadFile: TypeAlias = "Callable[[OpenRequest, Callable[[], None]], OpenResult]"

# A new file is waited for that long, because most are read in less, and then it is there at once.
FIRST_WAIT: Final = 0.03
# Seconds between two looks whether a file is read.
POLL_SECONDS: Final = 0.01
_CLOSE_SECONDS: Final = 1.0
_NICENESS, _MAX_NICENESS = 10, 19


class ReadingStopped(Exception):
    """The file is no longer wanted."""


class FileReader:
    """Reads one file after another; one that is no longer wanted is given up as soon as its reader allows."""

    def __init__(self, read: ReadFile) -> None:
        self._read = read
        self._reading: _Reading | None = None

    def result(self, request: OpenRequest) -> OpenResult | None:
        """The file of a request, which is read from its first call on; None while it is read.

        Raises what the reading raised, once.
        """
        if self._reading is None or self._reading.request != request:
            self._reading = _Reading(self._read, request, self._reading)
            self._reading.done.wait(FIRST_WAIT)
        return self._reading.take()

    @property
    def is_reading(self) -> bool:
        """Whether a file is being read."""
        return self._reading is not None and not self._reading.done.is_set()

    @property
    def has_result(self) -> bool:
        """Whether a file has been read since `result` was called last."""
        return self._reading is not None and self._reading.done.is_set() and not self._reading.is_taken

    def close(self) -> None:
        """Give up the file that is being read; waits a second for that at most."""
        if self._reading is not None:
            self._reading.stop()
            self._reading.done.wait(_CLOSE_SECONDS)


def _yield_to_other_threads() -> None:
    """Lower the priority of this thread, so that on a busy machine those that follow the pen get their turn first.

    Only Linux has a priority for each thread under this name.
    """
    if sys.platform == "linux":
        thread = get_native_id()
        with contextlib.suppress(OSError):
            lower = min(os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS, _MAX_NICENESS)
            os.setpriority(os.PRIO_PROCESS, thread, lower)


class _Reading:
    """A file being read; `done` is set at the end, after which `take` gives the result."""

    def __init__(self, read: ReadFile, request: OpenRequest, before: _Reading | None) -> None:
        self.request, self.done, self.is_taken = request, Event(), False
        self._read, self._before = read, before
        self._is_wanted = True
        self._result: OpenResult | None = None
        self._error: BaseException | None = None
        # A daemon: the process ends without it if a disk or a decoder never answers.
        Thread(target=self._run, name="file reader", daemon=True).start()

    def stop(self) -> None:
        self._is_wanted = False

    def take(self) -> OpenResult | None:
        """The result, None while there is none. Raises the error of the reading, the first time."""
        if not self.done.is_set():
            return None
        error, self._error, self.is_taken = self._error, None, True
        if error is not None:
            raise error
        return self._result

    def _run(self) -> None:
        _yield_to_other_threads()
        if self._before is not None:  # two large files at once would take the memory of both
            self._before.stop()
            self._before.done.wait()
            self._before = None
        try:
            self._check_wanted()
            self._result = self._read(self.request, self._check_wanted)
        except BaseException as error:  # noqa: BLE001 - the engine thread reports it
            self._error = error
        self.done.set()

    def _check_wanted(self) -> None:
        if not self._is_wanted:
            raise ReadingStopped(f"{self.request.path} is no longer to be opened")

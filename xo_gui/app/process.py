"""The process: the exception hook, timed garbage collection, and Ctrl+C and SIGTERM."""

from __future__ import annotations

import gc
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from traceback import clear_frames
from types import TracebackType

from PySide6.QtCore import QObject, QSocketNotifier, Qt, QTimer, Signal
from PySide6.QtWidgets import QWidget

from engine.faults import Faults


class FaultReporter(QObject):
    """Logs every uncaught exception and says it to the user, each once; the program keeps running.

    A fault may occur in any thread and while a widget paints: the sentence is delivered by the event loop, to the
    thread of the receiver. What is said before there is a receiver waits for it.
    """

    said = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._faults = Faults(self._say)
        self._waiting: list[str] | None = []

    def connect_to(self, notify: Callable[[str], object]) -> None:
        """Say everything to this method of a widget, called with one sentence in the widget's thread."""
        self.said.connect(notify, Qt.ConnectionType.QueuedConnection)
        waiting, self._waiting = self._waiting or [], None
        for sentence in waiting:
            self.said.emit(sentence)

    def _say(self, sentence: str) -> None:
        if self._waiting is None:
            self.said.emit(sentence)
        else:
            self._waiting.append(sentence)

    def report(self, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        """Report an uncaught exception."""
        self._faults.report("Window", error if error is not None else kind())
        # The frames hold painters, and a widget that still has one cannot be painted again.
        clear_frames(trace)


def install_exception_hook(notify: Callable[[str], object] | None = None) -> FaultReporter:
    """Report the uncaught exceptions of all threads from now on, also those that Python cannot raise; earlier hooks
    still run. notify: what the reporter connects to, if it exists already."""
    reporter, earlier = FaultReporter(), sys.excepthook
    if notify is not None:
        reporter.connect_to(notify)

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if earlier is not sys.__excepthook__:
            earlier(kind, error, trace)
        reporter.report(kind, error, trace)

    sys.excepthook = hook
    threading.excepthook = lambda fault: reporter.report(fault.exc_type, fault.exc_value, fault.exc_traceback)
    sys.unraisablehook = lambda fault: reporter.report(fault.exc_type, fault.exc_value, fault.exc_traceback)
    return reporter


def call_all(actions: Iterable[Callable[[], object]]) -> None:
    """Call each; the exception of one goes to the exception hook, and the others are called nevertheless."""
    for action in actions:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - the hook logs it
            sys.excepthook(type(error), error, error.__traceback__)


INTERVAL_MS = 2_000
FULL_EVERY = 15


class GarbageCollector(QObject):
    """Runs garbage collection on a timer instead of Python's triggers; objects that exist already are frozen."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.collect()
        gc.freeze()
        gc.disable()
        self._collections = 0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._collect)
        self._timer.start(INTERVAL_MS)

    def _collect(self) -> None:
        """Collect the young generations each time, and all of them every FULL_EVERY times."""
        self._collections += 1
        gc.collect(2 if self._collections % FULL_EVERY == 0 else 1)


SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalHandler(QObject):
    """Closes its window on SIGINT or SIGTERM; to be created in the main thread.

    Python runs signal handlers only between two of its own bytecodes, and Qt's event loop may execute none for
    seconds: a byte that Python writes to a socket (`signal.set_wakeup_fd`) wakes the loop up.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        self._notifier = QSocketNotifier(self._reader.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._close)

    def _close(self) -> None:
        self._reader.recv(64)
        self._window.close()

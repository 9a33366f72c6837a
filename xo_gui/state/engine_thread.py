"""EngineThread: runs the engine beside the window. It holds no widget and decides nothing."""

from __future__ import annotations

import logging
from time import perf_counter

from PySide6.QtCore import QObject, QThread, Signal

from engine.backends.backend import Device, one_blas_thread
from engine.runtime.protocol import Request, Snapshot
from engine.runtime.runner import Runner
from engine.training.history import EVERY, KeptRun
from xo_gui.state.mailbox import Mailbox

log = logging.getLogger(__name__)

# A slice of work is about 10 ms; a first pass on a cold GPU may take seconds, and then the stop waits for it.
STOP_MS = 10_000
# Seconds: how long training goes on before a request is looked for, and between two pictures of it.
SLICE, FRAME = 0.010, 0.167


class EngineThread(QThread):
    """Takes the latest Request, answers it, leaves the latest Snapshot.

    snapshot_ready carries no payload and is emitted only when the slot was empty, so the event queue never
    fills; whoever hears it calls take(). CUDA's context is made in this thread and belongs to it alone.
    """

    snapshot_ready = Signal()

    def __init__(self, device: Device = "auto", parent: QObject | None = None, keep_every: float = EVERY) -> None:
        super().__init__(parent)
        self.setObjectName("engine")
        self._device, self._keep_every = device, keep_every
        self.kept: KeptRun | None = None  # once it has stopped: the run as it was in the end
        self._shown_at = 0.0
        self._requests: Mailbox[Request] = Mailbox()
        self._snapshots: Mailbox[Snapshot] = Mailbox()

    def ask(self, request: Request) -> None:
        """Make `request` the one to answer next."""
        self._requests.put(request)

    def take(self) -> Snapshot | None:
        """The latest Snapshot nobody has taken yet."""
        return self._snapshots.take()

    def run(self) -> None:
        """The engine's loop, until stop(): a request if there is one, otherwise a slice of what is still to do."""
        runner = Runner(self._device, self._keep_every)
        last: Request | None = None
        with one_blas_thread():
            while not self._requests.closed:
                request = self._requests.wait(0 if runner.busy else runner.idle)
                if request is not None:
                    last = request
                    self._show(runner.answer(request))
                elif last is not None and runner.busy:
                    self._work(runner, last)
            self.kept = runner.kept()

    def _work(self, runner: Runner, last: Request) -> None:
        """A slice, and what came of it: the end of it always, and an answer that somebody waits for; before that if
        the window has taken the last picture and a while has passed."""
        runner.work(SLICE)
        now = perf_counter()
        if not runner.busy or runner.news or (self._snapshots.empty and now - self._shown_at >= FRAME):
            self._show(runner.answer(last))

    def _show(self, snapshot: Snapshot) -> None:
        self._shown_at = perf_counter()
        if self._snapshots.put(snapshot):
            self.snapshot_ready.emit()

    def stop(self) -> bool:
        """End the loop after the answer under way and wait for it; False if it did not end in time."""
        self._requests.close()
        ended = self.wait(STOP_MS)
        if not ended:
            log.error("the engine thread did not stop within %d ms", STOP_MS)
        return ended

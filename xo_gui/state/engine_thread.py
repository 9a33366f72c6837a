"""EngineThread: the QThread that runs the engine's loop."""

from __future__ import annotations

import logging
from functools import partial
from time import perf_counter

from PySide6.QtCore import QObject, QThread, Signal

from engine.backends import DeviceChoice, one_blas_thread
from engine.runtime import Request, Runner, Snapshot
from engine.training import SAVE_INTERVAL, SavedRun
from xo_gui.state.mailbox import Mailbox

log = logging.getLogger(__name__)

# A slice of work is about 10 ms, but the first pass on a cold GPU may take seconds, and stop() waits for it.
STOP_TIMEOUT_MS = 10_000
# How long training runs before the next look for a request, and the least time between two snapshots of it.
SLICE_SECONDS, FRAME_SECONDS = 0.010, 0.3


class EngineThread(QThread):
    """Computes the latest Request and leaves the latest Snapshot.

    snapshot_ready carries no payload and is emitted only when the slot was empty, so the event queue never
    fills; its receiver calls take(). The CUDA context is created in this thread and belongs to it alone.
    """

    snapshot_ready = Signal()

    def __init__(
        self, device: DeviceChoice = "auto", parent: QObject | None = None, keep_every: float = SAVE_INTERVAL
    ) -> None:
        super().__init__(parent)
        self.setObjectName("engine")
        self._device, self._keep_every = device, keep_every
        self.saved_run: SavedRun | None = None  # the final run, once the thread has stopped
        self._published_at = 0.0
        self._last: Request | None = None
        self._requests: Mailbox[Request] = Mailbox()
        self._snapshots: Mailbox[Snapshot] = Mailbox()

    def submit(self, request: Request) -> None:
        """Make `request` the next one to compute."""
        self._requests.put(request)

    def take(self) -> Snapshot | None:
        """The latest Snapshot, None if it has been taken already."""
        return self._snapshots.take()

    def run(self) -> None:
        """The engine's loop, which only stop() ends.

        A fault that the Runner does not guard is reported like the others, and the loop waits for the next request.
        """
        runner = Runner(self._device, self._keep_every)
        guard, failed = runner.faults.guard, False
        with one_blas_thread():
            while not self._requests.closed:
                turn = partial(self._turn, runner, waits=failed)
                failed = not guard("Engine", turn, False)
                if failed and (last := self._last) is not None:
                    guard("Engine", lambda: self._publish(runner.failure(last)), None)
            self.saved_run = runner.saved_run()
            runner.close()

    def _turn(self, runner: Runner, waits: bool) -> bool:
        """Compute a request if there is one, otherwise a slice of the remaining work; returns True.

        waits: for a request.
        """
        request = self._requests.wait(None if waits else 0 if runner.busy else runner.seconds_until_busy)
        if request is not None:
            self._last = request
            self._publish(runner.compute(request))
        elif self._last is not None and runner.busy:
            self._run_slice(runner, self._last)
        return True

    def _run_slice(self, runner: Runner, last: Request) -> None:
        """Run a slice, and publish its results when all work is done or a new result is due, or else if the window
        has taken the last snapshot and FRAME_SECONDS have passed."""
        runner.run_for(SLICE_SECONDS)
        now = perf_counter()
        if (
            not runner.busy
            or runner.has_first_result
            or (self._snapshots.empty and now - self._published_at >= FRAME_SECONDS)
        ):
            self._publish(runner.compute(last))

    def _publish(self, snapshot: Snapshot) -> None:
        self._published_at = perf_counter()
        if self._snapshots.put(snapshot):
            self.snapshot_ready.emit()

    def stop(self) -> bool:
        """End the loop after the current slice and wait for it; False on timeout."""
        self._requests.close()
        ended = self.wait(STOP_TIMEOUT_MS)
        if not ended:
            log.error("the engine thread did not stop within %d ms", STOP_TIMEOUT_MS)
        return ended

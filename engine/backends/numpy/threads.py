"""ThreadPair: independent lists of calls executed on two threads."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from threading import Lock, Thread
from time import perf_counter

from engine.backends.numpy.calls import plain_call
from engine.backends.ops import Calls, replay


def available_cores() -> int:
    """Number of CPU cores available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ThreadPair:
    """The calling thread and one worker thread, which lives as long as calls that use it.

    NumPy releases the GIL while it computes, so a second thread nearly doubles the speed of long calls.
    """

    def __init__(self) -> None:
        self._worker: weakref.ref[WorkerThread] | None = None

    def in_parallel(self, call_lists: Sequence[Calls]) -> Calls:
        """Calls that execute all lists, the first on the calling thread, the others on the worker. On a single
        core, or while the worker is busy, they run one after the other."""
        if len(call_lists) < 2 or available_cores() < 2:
            return [call for calls in call_lists for call in calls]
        worker = None if self._worker is None else self._worker()
        if worker is None:
            worker = WorkerThread()
            self._worker = weakref.ref(worker)
        first, *others = call_lists
        return [plain_call(worker.run_both, first, [call for calls in others for call in calls])]

    def in_slices(self, call_lists: Sequence[Calls]) -> Callable[[float], bool]:
        """Ops.in_slices on both threads. Each list stops independently: they wait for each other only at the end of
        a slice."""
        parts = [CallSlice(calls) for calls in call_lists]
        slice_calls = self.in_parallel([[plain_call(part.run)] for part in parts])

        def run_until(deadline: float) -> bool:
            for part in parts:
                part.deadline = deadline
            replay(slice_calls)
            return all(part.done for part in parts)

        return run_until


class CallSlice:
    """A partly executed list of calls; `deadline`, on perf_counter(), ends a slice."""

    def __init__(self, calls: Calls) -> None:
        self._remaining, self.deadline, self.done = iter(calls), 0.0, False

    def run(self) -> None:
        """Execute at least one remaining call, and more until the deadline."""
        deadline = self.deadline
        for function, arguments, keywords in self._remaining:
            function(*arguments, **keywords)
            if perf_counter() >= deadline:
                return
        self.done = True


class Handoff:
    """State shared between a worker thread and its callers.

    start, done: locks that one side holds and the other releases, the fastest way to wake a thread.
    free: held while there is work.
    work: None tells the worker to end.
    """

    def __init__(self) -> None:
        self.start, self.done, self.free = Lock(), Lock(), Lock()
        self.start.acquire()
        self.done.acquire()
        self.work: tuple[Context, Calls] | None = None
        self.error: BaseException | None = None


class WorkerThread:
    """A thread that executes calls in parallel with its owner, and ends when this object is garbage-collected."""

    def __init__(self) -> None:
        self._handoff = Handoff()
        # The thread must not keep this alive; a daemon, because a waiting thread must not block interpreter exit.
        Thread(target=_serve, args=(self._handoff,), name="numpy-worker", daemon=True).start()
        weakref.finalize(self, self._handoff.start.release)

    def run_both(self, own: Calls, others: Calls) -> None:
        """Execute both lists of calls in parallel. An error of either is raised once both have ended."""
        handoff = self._handoff
        if not handoff.free.acquire(blocking=False):
            replay(own)
            replay(others)
            return
        try:
            # np.errstate is part of the context, and a thread has its own.
            handoff.work = copy_context(), others
            handoff.start.release()
            try:
                replay(own)
            finally:
                handoff.done.acquire()
                error, handoff.work, handoff.error = handoff.error, None, None
        finally:
            handoff.free.release()
        if error is not None:
            raise error


def _serve(handoff: Handoff) -> None:
    """Execute the calls handed over until woken without work."""
    while True:
        handoff.start.acquire()
        if handoff.work is None:
            return
        context, calls = handoff.work
        try:
            context.run(replay, calls)
        except BaseException as error:  # noqa: BLE001  # raised again in the calling thread
            handoff.error = error
        del context, calls
        handoff.done.release()

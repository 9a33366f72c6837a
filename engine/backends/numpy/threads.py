"""Lanes: independent lists of calls made at the same time, one a thread. Not what they compute, nor how many."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from threading import Lock, Thread
from time import perf_counter

from engine.backends.numpy.calls import run
from engine.backends.ops import Calls, replay


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Lanes:
    """One worker thread, which lives as long as calls that use it do.

    NumPy lets go of the interpreter's lock while it computes, so a second thread nearly doubles the speed of calls
    that are long enough.
    """

    def __init__(self) -> None:
        self._worker: weakref.ref[Worker] | None = None

    def together(self, lanes: Sequence[Calls]) -> Calls:
        """The calls that make all lists: the first on the caller's thread, the others on the worker. On a single
        core, or where the worker is busy, one list after the other."""
        if len(lanes) < 2 or cores() < 2:
            return [each for lane in lanes for each in lane]
        worker = None if self._worker is None else self._worker()
        if worker is None:
            worker = Worker()
            self._worker = weakref.ref(worker)
        first, *others = lanes
        return [run(worker.share, first, [each for lane in others for each in lane])]

    def sliced(self, lanes: Sequence[Calls]) -> Callable[[float], bool]:
        """See Operations.sliced. Each list stops for itself, so that none waits but at a slice's end."""
        parts = [Part(lane) for lane in lanes]
        calls = self.together([[run(part.go_on)] for part in parts])

        def go_on(until: float) -> bool:
            for part in parts:
                part.until = until
            replay(calls)
            return all(part.done for part in parts)

        return go_on


class Part:
    """A list of calls, of which some are made: whether all are, and until when, by perf_counter(), more may be."""

    def __init__(self, calls: Calls) -> None:
        self._left, self.until, self.done = iter(calls), 0.0, False

    def go_on(self) -> None:
        """Make one, if one is left, and more while there is time."""
        until = self.until
        for function, arguments, keywords in self._left:
            function(*arguments, **keywords)
            if perf_counter() >= until:
                return
        self.done = True


class Desk:
    """What lies between a worker and those who give it work. start, done: locks that one side holds and the other
    releases, the quickest way to wake a thread; free: held while there is work. work: None once it shall end."""

    def __init__(self) -> None:
        self.start, self.done, self.free = Lock(), Lock(), Lock()
        self.start.acquire()
        self.done.acquire()
        self.work: tuple[Context, Calls] | None = None
        self.error: BaseException | None = None


class Worker:
    """A thread that makes calls beside its owner's, and ends when nobody holds this any more."""

    def __init__(self) -> None:
        self._desk = Desk()
        # The thread must not keep this alive; a daemon, for one that waits must not hold up the end of the program.
        Thread(target=_serve, args=(self._desk,), name="lane", daemon=True).start()
        weakref.finalize(self, self._desk.start.release)

    def share(self, mine: Calls, others: Calls) -> None:
        """Make both lists of calls at the same time. An error of either is raised once both have ended."""
        desk = self._desk
        if not desk.free.acquire(blocking=False):
            replay(mine)
            replay(others)
            return
        try:
            # What NumPy is told to do about overflow holds for a context, and a thread has its own.
            desk.work = copy_context(), others
            desk.start.release()
            try:
                replay(mine)
            finally:
                desk.done.acquire()
                error, desk.work, desk.error = desk.error, None, None
        finally:
            desk.free.release()
        if error is not None:
            raise error


def _serve(desk: Desk) -> None:
    """Make what is laid on the desk, again and again, until it is woken without work."""
    while True:
        desk.start.acquire()
        if desk.work is None:
            return
        context, calls = desk.work
        try:
            context.run(replay, calls)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is raised where the work came from
            desk.error = error
        del context, calls
        desk.done.release()

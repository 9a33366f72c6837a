"""Lanes: independent lists of calls made at the same time, one a thread. Not what they compute, nor how many."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from engine.array_operations.calls import run
from engine.operations import Calls, replay


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
        self._worker: weakref.ref[ThreadPoolExecutor] | None = None

    def together(self, lanes: Sequence[Calls]) -> Calls:
        """The calls that make all lists: the first on the caller's thread, the others on the worker. On a single
        core, one list after the other."""
        if len(lanes) < 2 or cores() < 2:
            return [each for lane in lanes for each in lane]
        worker = None if self._worker is None else self._worker()
        if worker is None:
            worker = ThreadPoolExecutor(1, thread_name_prefix="lane")
            self._worker = weakref.ref(worker)
        first, *others = lanes
        return [run(_run, worker, first, [each for lane in others for each in lane])]


def _run(worker: ThreadPoolExecutor, mine: Calls, other: Calls) -> None:
    """Make both lists of calls; an error of either is raised once both have ended."""
    # What NumPy is told to do about overflow holds for a context, and a thread has its own.
    future = worker.submit(copy_context().run, replay, other)
    try:
        replay(mine)
    finally:
        error = future.exception()
    if error is not None:
        raise error

"""Endurance: what keeps a run going when the device that computes it fails. It trains nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from engine.backends.backend import Backend, numpy_backend
from engine.backends.cuda import DeviceFault
from engine.checkpoint import Checkpoint

# Seconds: how old the copy on the host may be from which a run goes on after a fault.
OLDEST = 1.0


class Endurance:
    """Remembers where a run stood at most a second ago, and chooses what it goes on with after a fault: the same
    device in smaller parts, once, where it lacked memory; otherwise the processor.

    backend: what computes now. parts: into how many parts it cuts a batch. words: what has happened, one sentence
    each, for the person.
    """

    def __init__(self, backend: Backend, start: Checkpoint) -> None:
        self.backend, self.parts, self.kept = backend, 1, start
        self.words: list[str] = []
        self._kept_at = perf_counter()

    def keep(self, checkpoint: Callable[[], Checkpoint]) -> None:
        """Copy where the run stands, if the last copy is old; the processor needs none. Raises DeviceFault."""
        if self.backend.name != "cpu" and perf_counter() - self._kept_at >= OLDEST:
            self.kept, self._kept_at = checkpoint(), perf_counter()

    def recover(self, fault: DeviceFault) -> Checkpoint:
        """Choose what to go on with after a fault; returns where from."""
        if fault.out_of_memory and self.parts == 1:
            self.parts = 2
            self.words.append("The GPU lacks memory: training goes on there in smaller parts.")
        else:
            self.parts, self.backend = 1, numpy_backend("the GPU failed")
            self.words.append(f"{fault} Training goes on with the processor, from step {self.kept.steps}.")
        self._kept_at = perf_counter()
        return self.kept
